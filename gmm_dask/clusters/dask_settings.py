"""How Dask is set where we start a cluster; deploy/dask.yaml has the same for those of others."""

from __future__ import annotations

import dask

from gmm_dask.chunked.engines.patience import NO_WORKERS_TIMEOUT

LOG_LENGTH = 100
PRELOADED = "gmm_dask.dashboard"


def cluster_settings() -> dict[str, object]:
    """Dask configuration for a cluster that we start: `with dask.config.set(cluster_settings())`.

    Set before the scheduler starts: it reads these once.
    """
    return {
        # An innocent task dies with every worker that is lost under it.
        "distributed.scheduler.allowed-failures": 10,
        # The default waits for workers for ever.
        "distributed.scheduler.no-workers-timeout": NO_WORKERS_TIMEOUT,
        # A hung worker is given up after this; 5 minutes by default.
        "distributed.scheduler.worker-ttl": "60s",
        # A worker may set out to fetch from one that has just died, and knocks for this long (30 s
        # by default) while the pass waits.
        "distributed.comm.timeouts.connect": "5s",
        # A local cluster looks so long after a worker's death (15 s by default) whether it is back,
        # and if not, ends its nanny too: a second death may be what it sees.
        "distributed.deploy.lost-worker-timeout": "1d",
        # Ten samples a second for the dashboard, and five looks at whether a loop is late, are
        # enough over minutes; the hundred and fifty of Dask's own took 3% of every core.
        "distributed.worker.profile.interval": "100ms",
        "distributed.admin.tick.interval": "200ms",
        # What a scheduler keeps for developers of messages, events and transitions of tasks: of its
        # own a thousand each, which takes gigabytes.
        "distributed.admin.low-level-log-length": LOG_LENGTH,
        # One BLAS thread per task: two threads give other bits, and oversubscribe. Blocks and
        # temporaries come from the heap and go back to it: Dask's own setting maps and unmaps
        # each of them, which made streaming up to a fifth slower.
        "distributed.nanny.pre-spawn-environ": {
            "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,
            "MALLOC_TRIM_THRESHOLD_": 64 * 2**20,
            "OMP_NUM_THREADS": 1,
            "MKL_NUM_THREADS": 1,
            "OPENBLAS_NUM_THREADS": 1,
        },
        # Our page on the dashboard, and metrics; whatever else is preloaded stays.
        "distributed.scheduler.preload": [*_preloads(), PRELOADED],
    }


def _preloads() -> list[str]:
    names = dask.config.get("distributed.scheduler.preload", None) or []
    return [name for name in ([names] if isinstance(names, str) else names) if name != PRELOADED]
