"""Exceptions as exit codes, and as one sentence where it is clear what is wrong."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gmm_dask.cli import output, signals
from gmm_dask.store.retries import within

FAILURE, BAD_INPUT, BUSY = 1, 2, 3
INTERRUPTED = signals.CODE
ADVICE_WITHIN = 5.0


def explained(problem: BaseException) -> int:
    """Say what went wrong, and the exit code for it."""
    code = code_for(problem)
    unexpected = code == FAILURE and not is_refusal(problem)
    if unexpected or logging.getLogger("gmm_dask").isEnabledFor(logging.DEBUG):
        output.error("".join(traceback.format_exception(problem)).rstrip())
    message = output.set_in(sentence(problem))
    output.error(f"error: {message}" if code != INTERRUPTED else "interrupted")
    for note in getattr(problem, "__notes__", ()):
        output.error(note)
    return code


@contextmanager
def resumable(advice: Callable[[], str], otherwise: str) -> Iterator[None]:
    """What fails inside is told with how to go on, or `otherwise` where that cannot be found out.

    Not where another driver goes on, or where what is kept is damaged.
    """
    from gmm_dask.store.errors import DamagedError, LeaseLostError

    try:
        yield
    except Exception as problem:
        if code_for(problem) == FAILURE and not isinstance(problem, DamagedError | LeaseLostError):
            try:
                problem.add_note(within(ADVICE_WITHIN, "the last checkpoint", advice))
            except Exception:  # what has failed may well be the place where it is kept
                problem.add_note(otherwise)
        raise


def sentence(problem: BaseException) -> str:
    """The message, and the class where the message alone would be a riddle."""
    text = str(problem).strip()
    return text if text and is_refusal(problem) else f"{type(problem).__name__}: {text}".strip(": ")


def code_for(problem: BaseException) -> int:
    """The exit code; what a person gave wrongly is not a failure of the program."""
    from gmm_dask.store import errors

    if isinstance(problem, signals.Interrupted | KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(problem, errors.RunIsBusy):
        return BUSY
    if isinstance(problem, errors.StorageError):
        by_system = isinstance(problem.__cause__, OSError) and not isinstance(
            problem.__cause__, FileNotFoundError | FileExistsError
        )
        failed = errors.DamagedError | errors.LeaseLostError | errors.StoreUnavailableError
        return FAILURE if by_system or isinstance(problem, failed) else BAD_INPUT
    if isinstance(problem, ValueError | FileNotFoundError | ImportError) and is_refusal(problem):
        return BAD_INPUT
    return FAILURE


def is_refusal(problem: BaseException) -> bool:
    """Raised by this package on purpose, rather than by something that broke underneath it."""
    if isinstance(problem, signals.Interrupted | KeyboardInterrupt):
        return True
    return type(problem).__module__.startswith("gmm_dask.")
