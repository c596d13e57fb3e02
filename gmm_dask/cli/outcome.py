"""Exceptions as exit codes, and as one sentence where it is clear what is wrong."""

from __future__ import annotations

import logging
import traceback

from gmm_dask.cli import signals, speaking

FAILURE, BAD_INPUT, BUSY = 1, 2, 3
INTERRUPTED = signals.CODE


def explained(problem: BaseException) -> int:
    """Say what went wrong, and the exit code for it."""
    code = code_for(problem)
    unexpected = code == FAILURE and not is_refusal(problem)
    if unexpected or logging.getLogger("gmm_dask").isEnabledFor(logging.DEBUG):
        speaking.error("".join(traceback.format_exception(problem)).rstrip())
    told = speaking.set_in(sentence(problem))
    speaking.error(f"error: {told}" if code != INTERRUPTED else "interrupted")
    return code


def sentence(problem: BaseException) -> str:
    """The message, and the class where the message alone would be a riddle."""
    told = str(problem).strip()
    return told if told and is_refusal(problem) else f"{type(problem).__name__}: {told}".strip(": ")


def code_for(problem: BaseException) -> int:
    """The exit code; what a person gave wrongly is not a failure of the program."""
    from gmm_dask.store.errors import DamagedError, LeaseLostError, RunIsBusy, StorageError

    if isinstance(problem, signals.Interrupted | KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(problem, RunIsBusy):
        return BUSY
    if isinstance(problem, StorageError):
        by_system = isinstance(problem.__cause__, OSError) and not isinstance(
            problem.__cause__, FileNotFoundError | FileExistsError
        )
        failed = by_system or isinstance(problem, DamagedError | LeaseLostError)
        return FAILURE if failed else BAD_INPUT
    if isinstance(problem, ValueError | FileNotFoundError | ImportError) and is_refusal(problem):
        return BAD_INPUT
    return FAILURE


def is_refusal(problem: BaseException) -> bool:
    """Raised by this package on purpose, rather than by something that broke underneath it."""
    if isinstance(problem, signals.Interrupted | KeyboardInterrupt):
        return True
    return type(problem).__module__.startswith("gmm_dask.")
