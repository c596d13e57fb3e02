"""EVI: every component its own shape along the axes, all of one volume, (K, D)."""

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.diag import Diag
from gmm_dask.mixture.covariance.geometric import Geometric, of_equal_volume


class Evi(Geometric, Diag):
    """λ A_k with A_k = S_k / |S_k|^{1/D}, λ = Σ_k |S_k|^{1/D} / n."""

    name, marginal_family = "EVI", "diag"
    one_volume = True
    colour, marker = "#F2B701", ">"

    def alike(self, counts: Array, own: Array, previous: Array | None = None) -> Array:
        return of_equal_volume(counts, own)


EVI = Evi()
