"""EEV: one volume and shape, every component its own orientation, (K, D, D)."""

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.full import Full
from gmm_dask.mixture.covariance.geometric import Geometric
from gmm_dask.mixture.covariance.spectra import matrices, spectra


class Eev(Geometric, Full):
    """λ L_k A L_kᵀ with S_k = L_k Ω_k L_kᵀ and λ A = Σ_k Ω_k / n."""

    name, marginal_family = "EEV", "full"
    one_volume = True
    colour, marker = "#80BA5A", "h"

    def alike(self, counts: Array, own: Array, previous: Array | None = None) -> Array:
        values, vectors = spectra(own)
        shared = counts @ values / counts.sum()
        return matrices(np.broadcast_to(shared, values.shape), vectors)


EEV = Eev()
