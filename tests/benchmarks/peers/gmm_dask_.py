"""gmm-dask: one pass over the rows in memory and one M-step, in this process."""

from rounds import THREADS, serve, start, timed

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.expectation import statistics_over
from gmm_dask.chunked.rows import open_rows
from gmm_dask.mixture.kernels.choice import choose_kernels
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.parameters import Mixture

rows, weights, means, covariances = start()
family = "full" if covariances.ndim == 3 else "diag"
statistics_of = statistics_over(SerialEngine(open_rows(rows), cache="memory", threads=THREADS))


def iteration() -> float:
    """A fresh mixture each time, so that nothing is remembered; in a fit an M-step has made it."""
    asked = (Mixture(weights, means, covariances, family),)
    return timed(lambda: one(asked))


def one(asked: tuple[Mixture]) -> None:
    maximise(statistics_of(asked, choose_kernels(asked))[0], family)


with one_blas_thread():
    serve(iteration)
