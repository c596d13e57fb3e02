"""Whether kernels may be compiled here: numba is installed, works, and is not switched off."""

from __future__ import annotations

import logging
import os
from functools import cache
from importlib import import_module
from typing import Any

SWITCH = "GMM_DASK_NUMBA"
"""Set to 0 in the driver's environment, the fused kernel is not chosen: NumPy does all."""

logger = logging.getLogger(__name__)


def compiles() -> bool:
    """Whether the fused kernel can be chosen here."""
    return os.environ.get(SWITCH, "1") != "0" and not isinstance(loops(), str)


@cache
def loops(which: str = "whole") -> Any:
    """A module of compiled loops; why there is none, as a sentence, where there is none.

    The first call in a process takes half a second, or some where they are not in the cache yet.
    """
    try:
        numba = import_module("numba")
        if numba.config.DISABLE_JIT:
            return "numba's compiler is switched off (NUMBA_DISABLE_JIT)"
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
    return f"numba {numba.__version__} for {binding.get_host_cpu_name()}"
