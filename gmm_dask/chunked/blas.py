"""BLAS on one thread while a block is computed: another number of threads gives other bits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, local
from typing import Any

from threadpoolctl import ThreadpoolController


class _Pin:
    """Limits BLAS to one thread while anyone in this process wants it so.

    Most libraries have one limit for the process: without counting, the first task to end would
    lift it under the others. Those that OpenMP drives have one for each thread, which must set it.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.holders = 0
        self.limits: list[Any] = []
        self.modules = 0
        self.here = local()

    def take(self) -> Any:
        """Limit what is shared, and what is this thread's own unless it is so already: what is
        returned lifts that."""
        with self.lock:
            self.holders += 1
            if self._libraries_are_new() or self.holders == 1:
                _take_control(self.shared)
                self.limits.append(self.shared.limit(limits=1))
            before, self.here.limited = getattr(self.here, "limited", None), self.own
            return None if before is self.own else (before, self.own.limit(limits=1))

    def _libraries_are_new(self) -> bool:
        # Looking for libraries takes 2 ms: only where imports may have loaded others.
        if self.modules == len(sys.modules):
            return False
        controller, self.modules = ThreadpoolController(), len(sys.modules)
        self.own = controller.select(user_api="openmp", threading_layer="openmp")
        own = {library.filepath for library in self.own.lib_controllers}
        self.shared = controller.select(
            filepath=[lib.filepath for lib in controller.lib_controllers if lib.filepath not in own]
        )
        return True

    def give(self, own: Any) -> None:
        if own is not None:
            self.here.limited, limit = own
            limit.restore_original_limits()
        with self.lock:
            self.holders -= 1
            while self.limits and not self.holders:
                _take_control(self.shared)
                self.limits.pop().restore_original_limits()
                _take_control(self.shared)


def _take_control(controller: ThreadpoolController) -> None:
    """Let the next thread that limits OpenBLAS do so, whichever did before.

    threadpoolctl from 3.8 on obeys the first alone, while it lives and has not let go, and does
    nothing for others.
    """
    for library in controller.lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


_PIN = _Pin()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS on one thread: another number of threads gives other bits."""
    own = _PIN.take()
    try:
        yield
    finally:
        _PIN.give(own)
