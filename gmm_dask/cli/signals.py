"""Ctrl-C and SIGTERM as an exception of their own, so that what is running can keep its state."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CODE = 130


class Interrupted(BaseException):
    """Asked to stop; not an Exception, so that nobody retries after it."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted on the first SIGINT or SIGTERM; leave at once on the second.

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

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
