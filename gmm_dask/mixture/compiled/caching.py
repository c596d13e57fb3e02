"""What is compiled is kept on disk, and compiled anew when any of these files has changed."""
# mypy: allow-untyped-calls

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

import numba
from numba import njit, types

logger = logging.getLogger(__name__)

SOURCES = crc32(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))))
"""numba's cache knows the file of the function that is called, and what that closes over: functions
that are kept close over this number."""


def target() -> tuple[str, str]:
    """The processor that is compiled for, by its type and features."""
    binding, features = import_module("llvmlite.binding"), numba.config.CPU_FEATURES
    return (
        numba.config.CPU_NAME or binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten() if features is None else features,
    )


FILES = f"{crc32(repr((numba.__version__, target(), SOURCES)).encode()):08x}"
"""In the names of what is kept. numba keeps one index for all processors, in which each knows its
own, and numbers files by it: two that begin at once in a folder they share give theirs one name,
and either may then run the other's code."""


def cached(*arguments: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """njit that keeps on disk what it compiled, where there is a place for it."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__qualname__ += f"-{FILES}"
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
