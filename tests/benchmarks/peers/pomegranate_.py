"""pomegranate's GeneralMixtureModel in float32 on torch: one summarise, one update."""

import torch
from pomegranate.distributions import Normal
from pomegranate.gmm import GeneralMixtureModel
from rounds import THREADS, serve, start, timed

torch.set_num_threads(THREADS)
rows, weights, means, covariances = start()
data = torch.tensor(rows, dtype=torch.float32)
kind = "full" if covariances.ndim == 3 else "diag"


def iteration() -> float:
    """From the same parameters each time."""
    parts = [
        Normal(
            torch.tensor(mean, dtype=torch.float32),
            torch.tensor(covariance, dtype=torch.float32),
            covariance_type=kind,
        )
        for mean, covariance in zip(means, covariances, strict=True)
    ]
    model = GeneralMixtureModel(parts, priors=torch.tensor(weights, dtype=torch.float32))
    return timed(lambda: (model.summarize(data), model.from_summaries()))


serve(iteration)
