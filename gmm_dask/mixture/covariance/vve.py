"""VVE: one orientation, every component its own volume and shape, (K, D, D)."""

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.orientation import OneOrientation


class Vve(OneOrientation):
    """λ_k D A_k Dᵀ; along the axes D every component's own variances."""

    name = "VVE"
    colour, marker = "#4B4B8F", "8"

    def along(self, counts: Array, spectra: Array) -> Array:
        return spectra


VVE = Vve()
