"""A part of another library: its name, what is otherwise without it, and whether it is there."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger("gmm_dask")


@dataclass(frozen=True)
class Borrowed:
    """A part of another library that it may change without a word."""

    library: str
    part: str
    without: str
    """What is otherwise where it is gone; a sentence without its full stop."""
    look: Callable[[], object]
    """Raises where the part is gone, or does not do what it is used for."""

    def problem(self) -> str | None:
        """Why it cannot be used; None where it can."""
        try:
            self.look()
        except Exception as problem:  # whatever becomes of private things
            return f"{type(problem).__name__}: {problem}"
        return None

    def told(self) -> str:
        """That it is gone, and what that means; one sentence."""
        return f"{self.library} {version_of(self.library)} has no {self.part}: {self.without}"


_TOLD: set[tuple[str, str]] = set()


def gone(borrowed: Borrowed) -> None:
    """Say in the log that a part is not there; once in this process."""
    name = (borrowed.library, borrowed.part)
    if name not in _TOLD:
        _TOLD.add(name)
        logger.warning(borrowed.told())


def assigned(made: type, name: str) -> None:
    """Objects of this class have it: without making one, which would connect to something."""
    methods = [part for part in vars(made).values() if callable(part)]
    if not any(name in getattr(part, "__code__", _NOTHING).co_names for part in methods):
        raise AttributeError(f"{made.__name__} has no {name}")


_NOTHING = (lambda: None).__code__


def version_of(library: str) -> str:
    """The installed version, or nothing."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
