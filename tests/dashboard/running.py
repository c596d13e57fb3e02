"""A cluster of ours and a fit on it that waits, in the middle, to be looked at."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import zarr
from distributed import Client, LocalCluster

from gmm_dask import Configuration, Fit, fit
from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.rows import open_rows
from gmm_dask.clusters.dask_settings import cluster_settings
from gmm_dask.dashboard import Listener
from gmm_dask.fitting.run_loop import Progress

PATIENCE = 120


@contextmanager
def cluster(workers: int = 2) -> Iterator[Client]:
    """As `gmm-dask fit --workers` starts one."""
    with (
        dask.config.set(cluster_settings()),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as local,
        Client(local) as client,
    ):
        yield client


def page(client: Client, name: str = "gmm") -> str:
    """The address of a page of the dashboard."""
    return str(client.dashboard_link).replace("/status", f"/{name}")


def overlapping(path: Path, rows: int, features: int = 4, chunk_rows: int = 2_000) -> str:
    """Rows of six components that EM needs a while to tell apart."""
    generator = np.random.default_rng(3)
    means = generator.normal(scale=1.6, size=(6, features))
    which = generator.choice(6, size=rows, p=[0.3, 0.25, 0.2, 0.12, 0.08, 0.05])
    values = means[which] + generator.normal(size=(rows, features))
    zarr.create_array(str(path), data=values.astype("f4"), chunks=(chunk_rows, features))
    return str(path)


def engine_of(client: Client, rows: str) -> DaskEngine:
    """What a fit tells with."""
    return DaskEngine(client, open_rows(rows), cache="none")


class Paused:
    """A fit in a thread that stops at an iteration until it is let go."""

    def __init__(self, client: Client, rows: str, run: Path | str | None, at: int, **settings: Any):
        self.at, self.reached, self.go_on = at, threading.Event(), threading.Event()
        self.found: Fit | None = None
        self.problem: BaseException | None = None
        self._what = (client, rows, run, settings)
        self._thread = threading.Thread(target=self._fit, daemon=True)

    def _fit(self) -> None:
        client, rows, run, settings = self._what
        try:
            self.found = fit(
                rows,
                Configuration(**settings),
                client=client,
                run=run,
                cache="none",
                callbacks=[self._stop],
                block_bytes=64_000,  # a chunk each
            )
        except BaseException as problem:
            self.problem = problem
            self.reached.set()

    def _stop(self, progress: Progress) -> None:
        # An iteration is told of after the callbacks: at the next one, all before it is told.
        if progress.state.iteration == self.at + 1:
            self.reached.set()
            assert self.go_on.wait(PATIENCE)

    def __enter__(self) -> Paused:
        self._thread.start()
        assert self.reached.wait(PATIENCE)
        if self.problem is not None:
            raise self.problem
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def told(self, client: Client, iteration: int) -> None:
        """Wait until the scheduler has heard of an iteration."""
        fits = client.cluster.scheduler.plugins[Listener.name].fits
        deadline = time.monotonic() + PATIENCE
        while [line.iteration for line in fits.newest_first()[0].lines][-1:] != [iteration]:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def finish(self) -> None:
        """Let go, and wait for the end."""
        self.go_on.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self.problem is not None:
            raise self.problem
