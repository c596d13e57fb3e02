"""VEV: one shape, every component its own volume and orientation, (K, D, D)."""

from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.covariance.full import Full
from gmm_dask.mixture.covariance.geometric import Geometric, of_equal_shape
from gmm_dask.mixture.covariance.spectra import matrices, spectra


class Vev(Geometric, Full):
    """λ_k L_k A L_kᵀ with S_k = L_k Ω_k L_kᵀ; λ_k and A in turn, as of the spectra Ω_k."""

    name, marginal_family = "VEV", "full"
    colour, marker = "#E68310", "H"

    def alike(self, counts: Array, own: Array, previous: Array | None = None) -> Array:
        values, vectors = spectra(own)
        return matrices(of_equal_shape(counts, values), vectors)


VEV = Vev()
