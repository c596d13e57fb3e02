"""This machine: packages that fit together, threads, memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator

from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT
from packaging.requirements import Requirement
from threadpoolctl import threadpool_info

from gmm_dask.chunked.borrowed import PARTS
from gmm_dask.doctor.finding import Finding, bad, good, note

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SMALL_MEMORY = 2**30


def versions() -> Iterator[Finding]:
    """Installed packages against what this one asks for."""
    present = installed()
    wrong = []
    for line in importlib.metadata.requires("gmm-dask") or ():
        wanted = Requirement(line)
        version = version_of(wanted.name)
        absent_extra = version is None and wanted.marker is not None
        applies = wanted.marker is None or "extra" in str(wanted.marker)
        if not applies or absent_extra or "dev" in str(wanted.marker):
            continue
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{wanted.name} {version or 'is missing'} (needs {wanted.specifier})")
    listed = ", ".join(f"{name} {version}" for name, version in present.items())
    if wrong:
        yield bad("versions", "; ".join(wrong), "install again: pip install 'gmm-dask[report,s3]'")
    elif present["dask"] != present["distributed"]:
        yield bad("versions", listed, "dask and distributed must have the same version")
    else:
        yield good("versions", listed)


def parts() -> Iterator[Finding]:
    """What is used of other libraries beyond what they promise to keep."""
    problems = {part: part.problem() for part in PARTS}
    for part, problem in problems.items():
        if problem is not None:
            advice = f"install a {part.library} that gmm-dask was tried with, or a newer gmm-dask"
            yield note("private parts", part.told(), advice)
    if not any(problems.values()):
        yield good("private parts", "all that is used of Zarr's, Dask's and distributed's is there")


def installed() -> dict[str, str]:
    """Versions of what takes part in the arithmetic and the reading; also run on workers."""
    packages = ("gmm-dask", "dask", "distributed", "numpy", "scipy", "zarr")
    return {"python": platform.python_version()} | {
        name: version_of(name) or "missing" for name in packages
    }


def version_of(package: str) -> str | None:
    """The installed version."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def threads() -> Iterator[Finding]:
    """Cores against what BLAS would take; kernels pin it to one thread while they run."""
    import numpy  # noqa: F401  loads the BLAS to be looked at

    pools = {(pool["internal_api"], pool["num_threads"]) for pool in threadpool_info()}
    libraries = ", ".join(f"{name} with {count}" for name, count in sorted(pools))
    counts = f"{CPU_COUNT} cores; thread pools: {libraries or 'none'}"
    unset = [name for name in THREAD_VARIABLES if os.environ.get(name) != "1"]
    crowded = any(count > CPU_COUNT for _, count in pools)
    if crowded:
        yield note("threads", counts, "more threads than cores: export OMP_NUM_THREADS=1")
    elif len(unset) == len(THREAD_VARIABLES):
        yield good("threads", f"{counts}; passes pin BLAS to one thread by themselves")
    else:
        yield good("threads", counts)


def memory() -> Iterator[Finding]:
    """What may be used here."""
    limit = f"{MEMORY_LIMIT / 2**30:.1f} GiB for this process"
    if MEMORY_LIMIT < SMALL_MEMORY:
        yield note("memory", limit, "give workers at least 1 GiB each, or store smaller chunks")
    else:
        yield good("memory", limit)
