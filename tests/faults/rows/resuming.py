"""Row 12: resumed after each iteration in turn, a fit of any kind ends with the same bits."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import gmm_dask
from gmm_dask import Configuration, Fit
from gmm_dask.journey import Progress
from tests.faults.fits import BLOCK_BYTES, digest
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import Ground, ground

ITERATIONS = 20
MORE = 4
"""Iterations beyond the last one that is resumed from."""

Kind = Callable[..., str]


def resumed(scale: Scale, seed: int) -> Outcome:
    """Every kind of fit, stopped after iteration 0, 1, 2, … and taken up again."""
    outcome = Outcome()
    moments = range(ITERATIONS)
    with ground() as made:
        for name, kind in KINDS.items():
            whole = kind(made)
            drawn = moments if scale == "full" else sorted(Random(seed).sample(moments, 1))
            for moment in drawn:
                with outcome.trying(f"{name}, resumed after iteration {moment}"):
                    run = made.folder / f"{name}-{moment}"
                    _stop_after(moment, kind, made, run)
                    assert kind(made, run=run) == whole, "other bits"
    return outcome


class _Stopped(Exception):  # noqa: N818 - no error
    pass


def _stop_after(moment: int, kind: Kind, made: Ground, run: Path) -> None:
    def tell(progress: Progress) -> None:
        if progress.state.iteration == moment:
            raise _Stopped

    try:
        kind(made, run=run, callbacks=[tell])
    except _Stopped:
        return
    raise AssertionError(f"there was no iteration {moment}")


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
