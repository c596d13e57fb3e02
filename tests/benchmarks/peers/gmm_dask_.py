"""gmm-dask: one sweep over the rows in memory and one M-step, in this process, on one thread."""

from rounds import serve, start, timed
from threadpoolctl import threadpool_limits

from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.sweep import sweep

rows, weights, means, covariances = start()
family = "full" if covariances.ndim == 3 else "diag"


def iteration() -> float:
    """A fresh mixture each time, so that nothing is remembered."""
    return timed(lambda: maximise(sweep(rows, [mixture()])[0], family))


def mixture() -> Mixture:
    return Mixture(weights, means, covariances, family)


with threadpool_limits(1):
    serve(iteration)
