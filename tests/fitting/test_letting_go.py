"""What a driver lets go of, at once: nothing waits for Python to look for rings of references."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from distributed import Client

from gmm_dask import Configuration, Mixture, fit
from gmm_dask.chunked.engines import waiting
from gmm_dask.fitting.run_loop import Progress
from tests.chunked.conftest import client

__all__ = ["client"]

COMPONENTS, FEATURES = 8, 96


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def watched_fit(client: Client | None, run: Any) -> tuple[list[list[int]], list[set[str]]]:
    """After every iteration: of which of those before there still are statistics, and what the
    mixtures of this one hold beside their parameters."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(4000, FEATURES)) + 2 * random.integers(0, 3, (4000, 1))
    statistics: dict[int, Any] = {}
    held: list[list[int]] = []
    kept: list[set[str]] = []

    def look(progress: Progress) -> None:
        (candidate,) = progress.state.candidates
        held.append([i for i, one in statistics.items() if one() is not None])
        kept.append({*vars(candidate.mixture), *vars(candidate.proposal)})
        statistics[candidate.iteration] = weakref.ref(candidate.statistics)

    start = Mixture(
        np.full(COMPONENTS, 1 / COMPONENTS),
        rows[:COMPONENTS],
        np.broadcast_to(4 * np.eye(FEATURES), (COMPONENTS, FEATURES, FEATURES)),
    )
    assert start.large
    asked = Configuration(COMPONENTS, max_iter=4, tol=0.0, accelerate=None)
    found = fit(rows, asked, initial=start, client=client, callbacks=[look], run=run)
    assert "factors" in vars(found.mixture)
    return held, kept


@pytest.mark.usefixtures("uncollected")
def test_what_an_iteration_took_is_let_go_before_the_next_is_told(
    client: Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)  # so that every pass is waited for in vain
    held, kept = watched_fit(client, tmp_path / "run")
    assert held == [[], [], [], [], []]
    assert not any(names & {"factors", "precisions"} for names in kept)
