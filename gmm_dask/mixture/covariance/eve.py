"""EVE: one volume and orientation, every component its own shape, (K, D, D)."""

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.geometric import of_equal_volume
from gmm_dask.mixture.covariance.orientation import OneOrientation


class Eve(OneOrientation):
    """λ D A_k Dᵀ; along the axes D as EVI."""

    name, one_volume = "EVE", True
    colour, marker = "#CF1C90", "d"

    def along(self, counts: Array, spectra: Array) -> Array:
        return of_equal_volume(counts, spectra)


EVE = Eve()
