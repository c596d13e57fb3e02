"""Preloaded by workers of a local cluster: Ctrl-C in a terminal reaches all its processes, and is
the driver's to answer. Workers that it ended would cost it the pass that it wants to keep.
"""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by a worker when it starts."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
