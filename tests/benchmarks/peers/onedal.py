"""oneDAL's EM through daal4py: 20 iterations at a time, divided by what it reports.

It stops by itself; a threshold of 1e-300 keeps it from that for as long as it can be kept.
"""

import daal4py
from rounds import THREADS, serve, start, timed

ITERATIONS = 20

rows, weights, means, covariances = start()
full = covariances.ndim == 3
daal4py.daalinit(THREADS)


def iteration() -> float:
    """Seconds per iteration that was really made."""
    algorithm = daal4py.em_gmm(
        nComponents=len(weights),
        maxIterations=ITERATIONS,
        accuracyThreshold=1e-300,
        covarianceStorage="full" if full else "diagonal",
    )
    matrices = [c if full else c[None] for c in covariances]
    result = []
    seconds = timed(lambda: result.append(algorithm.compute(rows, weights[None], means, matrices)))
    return seconds / int(result[0].nIterations[0, 0])


serve(iteration)
