"""What an interrupted run has kept, and how to go on with it: in words for a person."""

from __future__ import annotations

from gmm_dask.runs.documents import document_in
from gmm_dask.runs.layout import CONFIGURATION
from gmm_dask.runs.view import look_at_run


def interrupted(word: str) -> str:
    """What to say of a run that was asked to stop, before that word on going on."""
    return f"interrupted; {word}"


def kept_of_fit(run: str) -> str:
    """What a fit has kept, and how to go on."""
    kept = newest_kept(run)
    if kept is None:
        return f"no checkpoint is kept yet; the same command begins again: {run}"
    config = document_in(run, CONFIGURATION)
    again = "the same command" if config is None else f"gmm-dask fit --config {config}"
    return f"a checkpoint of iteration {kept} is in {run}\nresume with: {again}"


def kept_of_selection(run: str) -> str:
    """The same of a selection, which no configuration describes."""
    kept = newest_kept(run)
    word = "no checkpoint is kept yet" if kept is None else f"a checkpoint of pass {kept} is kept"
    return f"{word}; the same command with --out {run} goes on"


def no_answer(run: str) -> str:
    """How to go on with a run whose folder does not answer."""
    return f"{run} does not answer: the same command goes on from its last checkpoint"


def going_on(run: str) -> str:
    """How to go on with an unfinished run, whoever began it."""
    config = document_in(run, CONFIGURATION)
    if config is None:
        return "the command, flow or call that began it goes on with it"
    return f"`gmm-dask fit --config {config}` goes on with it"


def newest_kept(run: str) -> int | None:
    """The newest complete checkpoint of a run."""
    view = look_at_run(run)
    kept = [] if view is None else view.iterations_kept
    return kept[-1] if kept else None
