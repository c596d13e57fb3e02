"""What is compiled is kept on disk, and compiled anew when any of these files has changed."""
# mypy: allow-untyped-calls

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from numba import njit, types

logger = logging.getLogger(__name__)

SOURCES = crc32(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))))
"""numba's cache knows the file of the function that is called, and what that closes over: functions
that are kept close over this number."""


def cached(*arguments: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """njit that keeps on disk what it compiled, where there is a place for it."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(*arguments, cache=True, **options)(function)
        except (RuntimeError, OSError) as problem:
            logger.warning("compiled for this process only: %s", problem)
            return njit(*arguments, **options)(function)

    return compiled


def read_only(kind: Any, dimensions: int) -> Any:
    """The type of a C-ordered array that is only read."""
    return types.Array(kind, dimensions, "C", readonly=True)


VECTOR, MATRIX, STACK = (read_only(types.float64, dimensions) for dimensions in (1, 2, 3))
INDICES = read_only(types.int64, 1)
ROWS = (MATRIX, read_only(types.float32, 2), VECTOR, VECTOR, VECTOR)
"""Rows, in one of the first two; their weights; centre and scale of their frame."""
FORMS = (INDICES, INDICES, MATRIX, VECTOR)
"""Linear forms in quadratic features: left and right, coefficients and constants."""
