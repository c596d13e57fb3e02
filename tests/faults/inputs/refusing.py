"""What counts as a refusal: a typed error of this package, in one sentence, that names things."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from gmm_dask.chunked.rows import DataError
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.store.errors import StorageError

REFUSALS = (DataError, ConfigurationError, StorageError)
SECRET = "hunter2"
"""Stands in for every password; it must never be printed."""


@contextmanager
def refused(*told: str) -> Iterator[None]:
    """What is inside is refused, in one line of bounded length that has all these words."""
    try:
        yield
    except REFUSALS as problem:
        message = str(problem)
        missing = [word for word in told if word not in message]
        assert not missing, f"does not say {missing}: {message}"
        assert "\n" not in message, f"no sentence: {message}"
        assert len(message) < 1200, f"too long: {message}"
        assert SECRET not in message, "a secret is shown"
    else:
        raise AssertionError(f"not refused, where {told} was expected")


class Lines(logging.Handler):
    """What is logged, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def having(self, pattern: str) -> list[str]:
        return [line for line in self.lines if re.search(pattern, line)]


@contextmanager
def logged(level: int = logging.DEBUG) -> Iterator[Lines]:
    """All that loggers are told meanwhile."""
    root, handler = logging.getLogger(), Lines()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
