"""Memory that arrays have left, given back to the system.

glibc keeps large arrays' places once some have come and gone, for it takes them for a habit, and
what comes next seldom fits: of a driver of 20 MB of parameters two thirds were such places.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from gmm_dask.mixture.iteration import EMState


def given_back(state: EMState) -> None:
    """Give it back, where mixtures are so large that it is worth a thousandth of a second."""
    if any(one.mixture.large for one in state.candidates):
        _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    """glibc's word for it; nothing where there is another C library, or none."""
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _: None
    return trim
