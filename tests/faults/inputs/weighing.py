"""Row 26: a few rows carry most of the weight, and the start is to see them."""

import numpy as np

import gmm_dask
from gmm_dask import Configuration
from gmm_dask.mixture.arrays import Array, Indices
from tests.faults.outcome import Outcome, Scale

ROWS, HEAVY, SHARE = 200_000, 40, 0.75
SHORT = 0.01
"""Nats a row that a fit may end below the one that began with every row in its own cluster."""


def uneven(scale: Scale, seed: int) -> Outcome:
    """40 of 200,000 rows with three quarters of the weight, in clusters of their own."""
    outcome = Outcome()
    short = []
    for number in range(seed, seed + (2 if scale == "small" else 10)):
        rows, weights, labels = _rows(number)
        asked = Configuration(5, seed=number, tol=1e-6, max_iter=500)
        best = gmm_dask.fit(rows, asked, weights=weights, labels=labels)
        with outcome.trying(f"rows {number}"):
            found = gmm_dask.fit(rows, asked, weights=weights)
            short.append(best.mean_log_likelihood - found.mean_log_likelihood)
            assert short[-1] < SHORT, f"{short[-1]:.3f} nats short"
    outcome.figures["nats short, at most"] = round(max(short, default=float("nan")), 6)
    return outcome


def _rows(seed: int) -> tuple[Array, Array, Indices]:
    """Three wide clusters of light rows, and two narrow ones of heavy rows among them."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(5, 4)) * 4
    spreads = np.array([1, 1, 1, 0.2, 0.2])
    labels = draw.integers(3, size=ROWS)
    heavy = draw.choice(ROWS, HEAVY, replace=False)
    labels[heavy] = 3 + np.arange(HEAVY) % 2
    rows = centres[labels] + draw.normal(size=(ROWS, 4)) * spreads[labels][:, None]
    weights = np.ones(ROWS)
    weights[heavy] = SHARE / (1 - SHARE) * (ROWS - HEAVY) / HEAVY
    return rows, weights, labels
