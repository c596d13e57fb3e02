"""Ctrl-C and SIGTERM as an exception of their own, so that what is running can keep its state.

However deep it hangs, in a library or in a system call: the process ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gmm_dask.cli import output

CODE = 130
ENDS_WITHIN = 12.0
"""Seconds from the first signal to the end, in which a checkpoint is written."""
WORDS_WITHIN = 2.0
ASKS = (signal.SIGINT, signal.SIGTERM)

_last_words: list[tuple[Callable[[], str], str]] = []


class Interrupted(BaseException):
    """Asked to stop; not an Exception, so that nobody retries after it."""


@contextmanager
def leaving_word(words: Callable[[], str], otherwise: str) -> Iterator[None]:
    """What to say if what is inside is asked to stop and does not; and if that does not end."""
    _last_words.append((words, otherwise))
    try:
        yield
    finally:
        _last_words.pop()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted on the first SIGINT or SIGTERM; leave at once on the second, and after
    ENDS_WITHIN seconds in any case.

    Leaving at once loses nothing: what is written in a run folder is whole at any moment.
    """
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        del number, frame
        if asked:
            os._exit(CODE)
        asked = True
        raise Interrupted

    heard, ends = os.pipe()
    os.set_blocking(ends, False)
    threading.Thread(target=_see_to_it, args=(heard,), name="signals", daemon=True).start()
    woken = signal.set_wakeup_fd(ends, warn_on_full_buffer=False)
    before = {s: signal.signal(s, stop) for s in ASKS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
        if not asked:
            os.close(ends)  # and the thread ends; else it waits for the end of the process


def _see_to_it(heard: int) -> None:
    """End this process in time after a signal, which a thread that waits within a library does not
    hear of before it returns."""
    while number := os.read(heard, 1):
        if number[0] in ASKS:
            break
    else:
        os.close(heard)
        return
    _wait_for_another(heard, time.monotonic() + ENDS_WITHIN - WORDS_WITHIN)
    sys.stderr.write(f"{output.error_line(_words())}\n")
    sys.stderr.flush()
    os._exit(CODE)


def _wait_for_another(heard: int, end: float) -> None:
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([heard], [], [], left)
        if ready and (number := os.read(heard, 1)) and number[0] in ASKS:
            os._exit(CODE)


def _words() -> str:
    """The last words of whatever is being done; itself not waited for long."""
    words, otherwise = _last_words[-1] if _last_words else (lambda: "interrupted", "interrupted")
    answers = [otherwise]
    asking = threading.Thread(
        target=lambda: answers.append(words()), name="last words", daemon=True
    )
    asking.start()
    asking.join(WORDS_WITHIN)
    return answers[-1]
