"""VEE: one shape and orientation, every component its own volume, (K, D, D)."""

import numpy as np

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.full import Full
from gmm_dask.mixture.covariance.geometric import SETTLED, TURNS, Geometric


class Vee(Geometric, Full):
    """λ_k C with |C| = 1: C ∝ Σ_k S_k / λ_k and λ_k = tr(S_k C⁻¹) / (D n_k), in turn."""

    name = "VEE"
    colour, marker = "#E73F74", "p"

    def alike(self, counts: Array, own: Array, previous: Array | None = None) -> Array:
        d = own.shape[1]
        sizes = np.trace(own, axis1=1, axis2=2) / d
        for _ in range(TURNS):
            shape = np.tensordot(counts / sizes, own, 1)
            shape = shape / np.exp(np.linalg.slogdet(shape)[1] / d)
            before, sizes = sizes, np.tensordot(own, np.linalg.inv(shape), 2) / d
            if (np.abs(sizes - before) <= SETTLED * sizes).all():
                break
        return sizes[:, None, None] * ((shape + shape.T) / 2)


VEE = Vee()
