"""Row 25: fits in threads, one after another, overlapping, resumed; and BLAS as it was before."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Event

import numpy as np
from threadpoolctl import ThreadpoolController

import gmm_dask
from gmm_dask import Configuration
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.mixture.arrays import Array
from tests.faults.cluster import PATIENCE
from tests.faults.fits import digest
from tests.faults.outcome import Outcome, Scale

FEATURES = 96
CONFIGURATION = Configuration(3, tol=0, max_iter=4, seed=1)
ALLOWED = 2
"""Threads that BLAS may use before and after."""

Fitting = Callable[..., str]


def any_thread(scale: Scale, seed: int) -> Outcome:
    """Rows of so many features that BLAS shares their work, so far off that the kernel is the
    centred one: the bits tell how many threads BLAS had."""
    outcome = Outcome()
    rows = np.random.default_rng(seed).normal(size=(6000, FEATURES)) + 1e7
    with TemporaryDirectory(prefix="faults-") as folder, blas_allowed(ALLOWED):
        fit = partial(_digest, rows)
        whole = fit()
        for number in range(1 if scale == "small" else 6):
            for name, told in WAYS.items():
                with outcome.trying(f"{name}, {number}"):
                    pass_control()
                    found = told(fit, Path(folder) / f"{name}-{number}")
                    assert set(found) == {whole}, "other bits"
                    assert blas_threads() == {ALLOWED}, "BLAS is left with other threads"
    return outcome


def _digest(rows: Array, **conduct: object) -> str:
    return digest(gmm_dask.fit(rows, CONFIGURATION, **conduct))


def _in_turn(fit: Fitting, _place: Path) -> list[str]:
    """In threads that all go on living."""
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        found = [thread.submit(fit).result() for thread in (one, other, one)]
        return [*found, fit()]


def _overlapping(fit: Fitting, _place: Path) -> list[str]:
    """What came first ends first, and its thread lives on."""
    both, ended = Barrier(2), Event()

    def meet(told: Progress) -> None:
        if told.state.iteration == 0:
            both.wait(PATIENCE)

    def outlast(told: Progress) -> None:
        meet(told)
        if told.state.iteration == 1:
            ended.wait(PATIENCE)

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        first = one.submit(fit, callbacks=[meet])
        first.add_done_callback(lambda _: ended.set())
        second = other.submit(fit, callbacks=[outlast])
        return [first.result(), second.result()]


def _resumed(fit: Fitting, place: Path) -> list[str]:
    """Begun here and ended in a thread, and the other way round."""
    places = [place.with_name(f"{place.name}-{end}") for end in ("there", "here")]
    with ThreadPoolExecutor(1) as thread:
        _left(fit, places[0])
        there = thread.submit(fit, run=places[0]).result()
        thread.submit(_left, fit, places[1]).result()
        return [there, fit(run=places[1])]


class _EnoughError(Exception):
    pass


def _left(fit: Fitting, run: Path) -> None:
    """A run that is left after its second iteration."""

    def leave(told: Progress) -> None:
        if told.state.iteration == 1:
            raise _EnoughError

    with suppress(_EnoughError):
        fit(run=run, callbacks=[leave])


WAYS: dict[str, Callable[[Fitting, Path], list[str]]] = {
    "in turn": _in_turn,
    "overlapping": _overlapping,
    "resumed": _resumed,
}


@contextmanager
def blas_allowed(threads: int) -> Iterator[None]:
    """BLAS of this process with so many threads; no thread is left in control of it."""
    with ThreadpoolController().select(user_api="blas").limit(limits=threads):
        pass_control()
        yield
        pass_control()


def pass_control() -> None:
    """threadpoolctl from 3.8 on lets one thread alone set limits, until it lets go."""
    for library in ThreadpoolController().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


def blas_threads() -> set[int]:
    """How many threads each BLAS of this process has."""
    blas = ThreadpoolController().select(user_api="blas")
    return {library.num_threads for library in blas.lib_controllers}
