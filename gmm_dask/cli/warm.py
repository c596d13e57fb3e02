"""`gmm-dask warm`."""

from __future__ import annotations

from gmm_dask.cli import options, output

EXAMPLE = "gmm-dask warm --json"


def warm(json: options.Json = False) -> None:
    """Compile the kernels now, for this machine's processor, so that no fit has to wait for it.

    NUMBA_CACHE_DIR says where they are kept; machines of unlike processors may share that folder.
    NUMBA_CPU_NAME and NUMBA_CPU_FEATURES name another processor, the same for all who use them.
    """
    from gmm_dask.mixture.compilation import warm

    done = warm()
    if json:
        output.result_json(done)
        return
    output.result(f"{done['compiler']}, in {done['seconds']:.1f} s; kept in {done['kept']}")
