"""VEI: one shape along the axes, every component its own volume, (K, D)."""

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.diag import Diag
from gmm_dask.mixture.covariance.geometric import Geometric, of_equal_shape


class Vei(Geometric, Diag):
    """λ_k A, both in turn."""

    name = "VEI"
    colour, marker = "#3969AC", "<"

    def alike(self, counts: Array, own: Array, previous: Array | None = None) -> Array:
        return of_equal_shape(counts, own)


VEI = Vei()
