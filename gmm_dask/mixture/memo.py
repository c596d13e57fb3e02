"""What follows from mixtures, remembered for as long as these live.

Every block of a pass asks for the same; but a mixture may take a hundred megabytes, and those of
the passes before are not to stay for what was made of them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from functools import update_wrapper
from typing import Any, Generic, TypeVar

from gmm_dask.mixture.parameters import Mixture

T = TypeVar("T")


class Remembered(Generic[T]):
    """A function of mixtures and of whatever else its results depend on; none of them may hold a
    mixture. What was found lies with the first of the mixtures, and goes with any of them."""

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        update_wrapper(self, make)

    def __call__(self, mixtures: tuple[Mixture, ...], *more: Hashable) -> T:
        first, *others = mixtures
        found: dict[Hashable, T] = vars(first).setdefault("_remembered", {})
        key = (self, *map(id, others), *more)
        if key not in found:
            found[key] = self._make(mixtures, *more)
            for other in others:
                forgetting: Any = weakref.finalize(other, found.pop, key, None)
                forgetting.atexit = False
        return found[key]
