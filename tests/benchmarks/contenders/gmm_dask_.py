"""gmm-dask from a Zarr store on two workers: `cached` or `streaming`, K = 16, 20 passes."""

import json
import sys
from time import perf_counter

import dask
from distributed import Client, LocalCluster

from gmm_dask import Configuration, fit
from gmm_dask.chunked.rows import open_rows
from gmm_dask.clusters.dask_settings import cluster_settings


def main(store: str, way: str, components: str, passes: str) -> None:
    """Seconds from the open store to the model; the cluster is there already, as Spark's is."""
    with (
        dask.config.set(cluster_settings()),
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        began = perf_counter()
        setting = Configuration(int(components), tol=None, max_iter=int(passes), accelerate=None)
        cache = "memory" if way == "cached" else "none"
        found = fit(open_rows(store), setting, client=client, cache=cache)
        seconds = perf_counter() - began
    told = {"seconds": seconds, "mean_log_likelihood": float(found.mean_log_likelihood)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
