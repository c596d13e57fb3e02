"""Waits that end, and that say what they wait for, and why, from the tenth second on.

Knows clocks and threads; knows nothing of who is waited for.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

logger = logging.getLogger("gmm_dask")

T = TypeVar("T")

FIRST_WORD = 10.0
"""Seconds before anything is said; from then on at twice as many each time."""
LOOK_EVERY = 0.5
LONGEST_REASON = 300
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before what was not answered is asked again: twice as many each time."""


@dataclass(eq=False)
class Wait:
    """One wait under way."""

    what: str
    end: float | None
    began: float
    next_word: float = FIRST_WORD
    why: str = ""

    def word(self) -> str | None:
        """What is to be said now, if anything."""
        waited = time.monotonic() - self.began
        if waited < self.next_word:
            return None
        why = f" ({self.why})" if self.why else ""
        end = "" if self.end is None else f"; after {self.end:.0f} s it is given up"
        waiting = f"waiting for {self.what}, which has not answered for {self.next_word:.0f} s"
        self.next_word *= 2
        return f"{waiting}{why}{end}"


class _Watch:
    """The waits of this process, and the thread that looks at them while there are any.

    It falls asleep after a look that found none since the one before: most waits are over at once,
    and to wake it takes longer than they do.
    """

    def __init__(self) -> None:
        self.waits: set[Wait] = set()
        self.any = self.asleep = False
        self.changed = threading.Condition()
        self.thread: threading.Thread | None = None
        self.tell: Callable[[str], object] = logger.warning

    def add(self, wait: Wait) -> None:
        with self.changed:
            self.waits.add(wait)
            self.any = True
            if self.thread is None:
                self.thread = threading.Thread(target=self._look, name="waiting", daemon=True)
                self.thread.start()
            elif self.asleep:
                self.changed.notify()

    def remove(self, wait: Wait) -> None:
        with self.changed:
            self.waits.discard(wait)

    def _look(self) -> None:
        while True:
            with self.changed:
                self.asleep, self.any = not self.any, bool(self.waits)
                self.changed.wait(None if self.asleep else LOOK_EVERY)
                words = [word for wait in self.waits if (word := wait.word())]
            for word in dict.fromkeys(words):
                self.tell(word)


_WATCH = _Watch()


def _anew() -> None:
    """A fork has none of its parent's threads."""
    tell = _WATCH.tell
    _WATCH.__init__()  # type: ignore[misc]
    _WATCH.tell = tell


os.register_at_fork(after_in_child=_anew)


def told_to(tell: Callable[[str], object]) -> Callable[[str], object]:
    """Who hears of this process's waits, in place of the log; returns who did before."""
    before, _WATCH.tell = _WATCH.tell, tell
    return before


@contextmanager
def waiting_for(what: str, end: float | None = None) -> Iterator[Wait]:
    """Say so if what is inside takes long; it ends by itself after `end` seconds."""
    wait = Wait(what, end, time.monotonic())
    _WATCH.add(wait)
    try:
        yield wait
    finally:
        _WATCH.remove(wait)


def asked_again(
    ask: Callable[[], T], what: str, passes: Callable[[Exception], bool], seconds: float
) -> T:
    """What is asked for; asked again while what goes wrong may pass, for so many seconds in all.

    What goes wrong the last time is raised: nothing that was asked for before the end is cut short.
    """
    began, pause = time.monotonic(), FIRST_PAUSE
    with waiting_for(what, seconds) as wait:
        while True:
            try:
                return ask()
            except Exception as problem:
                left = began + seconds - time.monotonic()
                if left <= 0 or not passes(problem):
                    raise
                wait.why = str(problem).partition("\n")[0][:LONGEST_REASON]
            # Not all at the same time: what has just come back would be asked by everyone at once.
            time.sleep(min(left, pause * random.uniform(0.5, 1)))
            pause = min(2 * pause, LONGEST_PAUSE)


def within(seconds: float, what: str, asked: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """What a function returns that may never do so; TimeoutError once this is over.

    It runs in a thread of its own, which is left behind where it does not end.
    """
    answers: list[T] = []
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(asked(*arguments, **named))
        except BaseException as problem:
            raised.append(problem)

    thread = threading.Thread(target=ask, name=f"waiting for {what}", daemon=True)
    with waiting_for(what, seconds):
        thread.start()
        thread.join(seconds)
    if raised:
        raise raised[0]
    if not answers:
        raise TimeoutError(f"{what} has not answered within {seconds:.0f} s")
    return answers[0]
