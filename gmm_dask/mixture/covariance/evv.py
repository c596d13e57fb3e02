"""EVV: one volume, every component its own shape and orientation, (K, D, D)."""

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.full import Full
from gmm_dask.mixture.covariance.geometric import Geometric


class Evv(Geometric, Full):
    """λ C_k with C_k = S_k / |S_k|^{1/D}, λ = Σ_k |S_k|^{1/D} / n."""

    name, marginal_family = "EVV", "full"
    one_volume = True
    colour, marker = "#008695", "*"

    def alike(self, counts: Array, own: Array, previous: Array | None = None) -> Array:
        sizes = np.exp(np.linalg.slogdet(own)[1] / own.shape[1])
        return own * ((counts @ sizes) / (counts.sum() * sizes))[:, None, None]


EVV = Evv()
