"""scikit-learn's GaussianMixture: its own E-step and M-step."""

import numpy as np
from rounds import THREADS, serve, start, timed
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

rows, weights, means, covariances = start()
family = "full" if covariances.ndim == 3 else "diag"
model = GaussianMixture(len(weights), covariance_type=family)
model.weights_, model.means_, model.covariances_ = weights, means, covariances
precisions = np.linalg.inv(covariances) if family == "full" else 1 / covariances
model.precisions_cholesky_ = (
    np.linalg.cholesky(precisions) if family == "full" else np.sqrt(precisions)
)
cholesky = model.precisions_cholesky_


def iteration() -> float:
    """From the same parameters each time."""
    model.weights_, model.means_, model.covariances_ = weights, means, covariances
    model.precisions_cholesky_ = cholesky
    return timed(one)


def one() -> None:
    _, log_responsibilities = model._e_step(rows)
    model._m_step(rows, log_responsibilities)


with threadpool_limits(THREADS):
    serve(iteration)
