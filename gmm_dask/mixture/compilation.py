"""Whether kernels may be compiled here: numba is installed, works, and is not switched off.

Also when that is done: as late as possible, or before any fit, for this machine or an image.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock, Timer
from typing import Any

from gmm_dask.mixture.refusals import NotInstalledError

SWITCH = "GMM_DASK_NUMBA"
"""Set to 0 in the driver's environment, the fused kernel is not chosen: NumPy does all."""
COMPILED, CACHE = "GMM_DASK_COMPILED", "NUMBA_CACHE_DIR"
"""Folders: what was compiled before, which may be read only, and where numba keeps and looks for
what it compiles. The first is copied to the second where that is not there."""
MODULES = ("dense", "separated", "scored")
AT_ONCE = 1.0
"""Seconds in which what is in the cache is loaded; beyond, it is being compiled."""

logger = logging.getLogger(__name__)


def compiles(which: str = "dense") -> bool:
    """Whether these loops can be chosen here: the fused kernel's, or others."""
    return os.environ.get(SWITCH, "1") != "0" and not isinstance(loops(which), str)


@cache
def loops(which: str = "dense") -> Any:
    """A module of compiled loops; why there is none, as a sentence, where there is none.

    The first call in a process takes half a second, or some where they are not in the cache yet.
    """
    try:
        numba = import_module("numba")
        if numba.config.DISABLE_JIT:
            return "numba's compiler is switched off (NUMBA_DISABLE_JIT)"
        _unpack()
        with _ONE_AT_A_TIME, _reported():
            return import_module(f"gmm_dask.mixture.compiled.{which}")
    except ModuleNotFoundError as absent:
        return f"{absent.name} is not installed"
    except Exception as problem:
        logger.warning("numba does not work here, NumPy does all: %s", problem)
        return f"numba does not work: {problem}"


def compiler() -> str:
    """What compiles kernels, for the record of a run: bits depend on it."""
    if not compiles():
        return "none"
    numba, binding = import_module("numba"), import_module("llvmlite.binding")
    return f"numba {numba.__version__} for {numba.config.CPU_NAME or binding.get_host_cpu_name()}"


def warm() -> dict[str, object]:
    """Have everything compiled and kept, for no fit to wait for; what for, and how long it took."""
    began = time.perf_counter()
    for which in MODULES:
        if isinstance(why := loops(which), str):
            raise NotInstalledError(
                f"nothing is compiled here, for {why}: pip install 'gmm-dask[fast]'"
            )
    (kept,) = {
        str(one.stats.cache_path)
        for one in (loops().sweep, loops("separated").sweep_separated, loops("scored").score)
    }
    return {"compiler": compiler(), "kept": kept, "seconds": time.perf_counter() - began}


def _unpack() -> None:
    before, place = os.environ.get(COMPILED), os.environ.get(CACHE)
    if before and place and Path(before).is_dir() and not Path(place).exists():
        own = Path(f"{place}.{os.getpid()}")
        with suppress(OSError):  # then each process compiles for itself
            shutil.copytree(before, own)
            own.rename(place)
        shutil.rmtree(own, ignore_errors=True)


# -- listeners ----------------------------------------------------------------------------------

Listener = Callable[[float | None], object]
"""Hears None when compiling has begun, and how many seconds it took when it is over."""
_LISTENERS: list[Listener] = []
_ONE_AT_A_TIME = Lock()


@contextmanager
def compilation_reported_to(listener: Listener) -> Iterator[None]:
    """Have someone hear of what is compiled in this process while this is open."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


@contextmanager
def _reported() -> Iterator[None]:
    began, newest = time.perf_counter(), _LISTENERS[-1:]

    def report(seconds: float | None = None) -> None:
        for listener in newest:
            listener(seconds)

    later = Timer(AT_ONCE, report)
    later.daemon = True
    later.start()
    try:
        yield
    finally:
        later.cancel()
        if (seconds := time.perf_counter() - began) > AT_ONCE:
            report(seconds)
