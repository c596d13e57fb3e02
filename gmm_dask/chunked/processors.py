"""What a process computes with: results depend on it in their last bits, and on nothing else here.

BLAS and NumPy choose loops by the type of the processor, and numba compiles for it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

import numpy as np
from threadpoolctl import threadpool_info


@cache
def processor() -> str:
    """The loops that this process takes, in a few words; equal words, equal bits."""
    return ", ".join([*_blas(), _numpy(), *_compiler()])


def _blas() -> list[str]:
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    libraries = {(p["internal_api"], p.get("version"), p.get("architecture")) for p in pools}
    return [f"{api} {version} for {kind}" for api, version, kind in sorted(libraries, key=str)]


def _numpy() -> str:
    try:
        extensions = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    except (KeyError, TypeError):
        extensions = []
    return f"NumPy {np.__version__} with {extensions[-1] if extensions else 'its baseline'}"


def _compiler() -> list[str]:
    try:
        numba, binding = import_module("numba"), import_module("llvmlite.binding")
    except ImportError:
        return []
    return [f"numba {numba.__version__} for {numba.config.CPU_NAME or binding.get_host_cpu_name()}"]
