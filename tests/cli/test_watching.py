"""Following a run by its files: what was told is not told again, silence is."""

import itertools

import numpy as np
import pytest

from gmm_dask import fit
from gmm_dask.runs.watch import Finished, Iteration, Silence, watch
from gmm_dask.store.errors import KeyMissingError


class StopError(Exception):
    """Enough was seen."""


def test_a_finished_run_is_told_and_ends(tmp_path):
    rows = np.random.default_rng(0).normal(size=(200, 2))
    found = fit(rows, 2, run=tmp_path / "run")
    news = list(watch(tmp_path / "run", sleep=lambda _: pytest.fail("nothing to wait for")))
    assert isinstance(news[-1], Finished)
    told = [item.entry["iteration"] for item in news if isinstance(item, Iteration)]
    assert told == list(range(found.iterations + 1))


def test_silence_is_told_once(tmp_path):
    def stop(progress):
        if progress.state.iteration == 2:
            raise StopError

    rows = np.random.default_rng(0).normal(size=(200, 2))
    with pytest.raises(StopError):
        fit(rows, 2, run=tmp_path / "run", callbacks=[stop])
    hours = itertools.count(1e12, 3600)
    naps = iter(range(3))
    news = []
    with pytest.raises(StopError):  # noqa: PT012  when there was enough sleep
        generator = watch(tmp_path / "run", sleep=lambda _: nap(naps), clock=lambda: next(hours))
        while True:
            news.append(next(generator))
    assert sum(isinstance(item, Silence) for item in news) == 1
    assert sum(isinstance(item, Iteration) for item in news) == 3


def nap(naps):
    """Sleep, so many times."""
    if next(naps, None) is None:
        raise StopError


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(KeyMissingError, match="there is no run at"):
        next(watch(tmp_path / "nowhere"))
