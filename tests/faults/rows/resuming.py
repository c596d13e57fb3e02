"""Row 12: resumed after each iteration in turn, a fit of any kind ends with the same bits."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import gmm_dask
from gmm_dask import Configuration, Fit
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.runs.checkpoint import complete_iterations
from gmm_dask.store.local_folder import LocalFolder
from tests.faults.cluster import until
from tests.faults.fits import BLOCK_BYTES, digest
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import Ground, ground

ITERATIONS = 20
MORE = 4
"""Iterations beyond the last one that is resumed from."""

Kind = Callable[..., str]


def resumed(scale: Scale, seed: int) -> Outcome:
    """The run folder of every kind of fit, as it was after iteration 0, 1, 2, …, is taken up."""
    outcome = Outcome()
    moments = range(ITERATIONS)
    with ground() as made:
        for name, kind in KINDS.items():
            drawn = moments if scale == "full" else Random(seed).sample(moments, 1)
            copies = {moment: made.folder / f"{name}-{moment}" for moment in drawn}
            whole = _copied_on_the_way(kind, made, made.folder / name, copies)
            for moment, copy in copies.items():
                with outcome.trying(f"{name}, resumed after iteration {moment}"):
                    assert complete_iterations(LocalFolder(copy))[-1] == moment
                    assert kind(made, run=copy) == whole, "other bits"
    return outcome


def _copied_on_the_way(kind: Kind, made: Ground, run: Path, copies: dict[int, Path]) -> str:
    """What an undisturbed run comes to; its folder is copied as soon as a checkpoint is whole."""

    def tell(progress: Progress) -> None:
        moment = progress.state.iteration
        if moment in copies:
            until(lambda: moment in complete_iterations(LocalFolder(run)))
            until(lambda: _copied(run, copies[moment]))

    return kind(made, run=run, callbacks=[tell])


def _copied(run: Path, copy: Path) -> bool:
    """False where clean-up took away a file meanwhile."""
    shutil.rmtree(copy, ignore_errors=True)
    try:
        shutil.copytree(run, copy)
    except shutil.Error:
        return False
    return True


def _fit(**settings: Any) -> Kind:
    configuration = Configuration(tol=0, max_iter=ITERATIONS + MORE, seed=1, **settings)

    def fit(made: Ground, **conduct: Any) -> str:
        found: Fit = gmm_dask.fit(made.stored, configuration, block_bytes=BLOCK_BYTES, **conduct)
        return digest(found)

    return fit


def _select(made: Ground, **conduct: Any) -> str:
    found = gmm_dask.select(
        made.stored,
        range(1, 5),
        ["full", "diag"],
        tol=0,
        max_iter=ITERATIONS + MORE,
        seed=1,
        opening={"block_bytes": BLOCK_BYTES},
        **conduct,
    )
    table = json.dumps([vars(choice) for choice in found.table], sort_keys=True)
    return digest(found.best) + table


KINDS: dict[str, Kind] = {
    "plain": _fit(components=3, accelerate=None),
    "accelerated": _fit(components=3),
    "restarts": _fit(components=3, n_init=5, finalists=3),
    "select": _select,
}
