"""The matrix: a row each of what is tried, the bar it is held to, and the function that tries it.

A row's function has the form `run(scale, seed) -> Outcome` and makes all that it needs. It is named
here as "module:function" and imported only when its row runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from tests.faults.outcome import Outcome, Scale

Run = Callable[[Scale, int], Outcome]


@dataclass(frozen=True)
class Row:
    """One line of the matrix."""

    number: int
    tried: str
    bar: str
    run: str
    limit: float = 600.0
    """Seconds after which the row is ended and counts as hung."""
    beside: bool = False
    """Nearly idle: runs beside the other rows."""
    small: bool = True
    """Whether its small version runs in `make test`; else other tests there have it."""

    def function(self) -> Run:
        module, name = self.run.split(":")
        function: Run = getattr(import_module(module), name)
        return function


_HERE = "tests.faults.rows"

_LISTED = (
    Row(
        1,
        "200 random kill -9 of the driver during fits",
        "0 completed iterations lost; every finished fit bit-identical to the undisturbed one",
        f"{_HERE}.drivers:killed",
        small=False,  # test_drivers.py
    ),
    Row(
        13,
        "two drivers on one run folder",
        "the second leaves within 1 s with its own exit code, nothing written",
        f"{_HERE}.drivers:two",
        small=False,  # test_drivers.py
    ),
)

ROWS = {row.number: row for row in _LISTED}
