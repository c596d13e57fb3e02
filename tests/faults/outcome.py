"""What came of one row of the matrix: how much was tried, survived and lost, and what it took."""

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Scale = Literal["small", "full"]


@dataclass
class Outcome:
    """Counts of one row. It holds as long as nothing is in `broken`."""

    survived: int = 0
    lost: int = 0
    worst: float | None = None
    """Seconds of the slowest recovery, where there is something to recover."""
    figures: dict[str, object] = field(default_factory=dict)
    """Whatever else was measured, by its name in the report."""
    broken: list[str] = field(default_factory=list)
    """Where the bar was not met, a sentence each."""

    @property
    def held(self) -> bool:
        return not self.broken

    @contextmanager
    def trying(self, what: object, *, cases: int = 1) -> Iterator[None]:
        """What is inside survives, or an error in it is a loss; then the row goes on."""
        try:
            yield
        except Exception as problem:
            traceback.print_exc()
            self.lose(f"{what}: {_told(problem)}", cases=cases)
        else:
            self.survived += cases

    def lose(self, why: str, *, cases: int = 1) -> None:
        self.lost += cases
        self.broken.append(why)

    def recovered(self, seconds: float, *, bar: float, after: object) -> None:
        """Note what a recovery took, and that it took longer than it may."""
        self.worst = max(seconds, self.worst or 0.0)
        if seconds > bar:
            self.broken.append(f"{after}: {seconds:.1f} s, where {bar:.1f} s is the bar")


@contextmanager
def timed() -> Iterator[list[float]]:
    """A list that holds the seconds of what is inside, once that has ended."""
    seconds: list[float] = []
    started = time.monotonic()
    try:
        yield seconds
    finally:
        seconds.append(time.monotonic() - started)


def _told(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0][:200] if lines else 'no message'}"
