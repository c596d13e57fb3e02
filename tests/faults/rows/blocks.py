"""Row 10: blocks that no worker survives are named, and soon."""

import os
import re
import signal
import time
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from gmm_dask.chunked.engines.faults import BlocksKilledWorkers
from gmm_dask.chunked.rows import Rows, Values, open_rows
from gmm_dask.chunked.sources.memory_source import MemorySource
from tests.faults.cluster import BALLAST, cluster_of, whole
from tests.faults.fits import BLOCK_BYTES, BLOCK_ROWS, BLOCKS, FEATURES, fitted
from tests.faults.outcome import Outcome, Scale

BAR = 60.0
LIMIT = 500_000_000


@dataclass(frozen=True, eq=False)
class Deadly(MemorySource):
    """Rows of which one block kills whoever reads it."""

    row: int = 0

    def read(self, first: int, last: int) -> Values:
        if first <= self.row < last:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(first, last)


@dataclass(frozen=True, eq=False)
class Greedy(Deadly):
    """Rows of which one block takes more memory to read than a worker may use."""

    def read(self, first: int, last: int) -> Values:
        if first <= self.row < last:
            BALLAST.append(np.ones(2 * LIMIT, dtype=np.uint8))
            time.sleep(60)  # until the nanny looks, and kills
        return MemorySource.read(self, first, last)


def deadly(scale: Scale, seed: int) -> Outcome:
    """Blocks drawn at random, with Dask's own settings of ours and with one failure allowed."""
    times = 3 if scale == "full" else 1
    outcome, draw = Outcome(), Random(seed)
    for allowed in (1, 10):
        settings = {"distributed.scheduler.allowed-failures": allowed}
        with cluster_of(2, memory_limit=LIMIT, settings=settings) as client:
            for kind in (Deadly, Greedy):
                for _ in range(times if allowed == 1 else 1):
                    row = draw.randrange(BLOCKS * BLOCK_ROWS)
                    what = f"{kind.__name__.lower()} at row {row}, {allowed} failures allowed"
                    with outcome.trying(what):
                        whole(client, 2)
                        started = time.monotonic()
                        told = _error(rows_with(kind, row), client)
                        outcome.recovered(time.monotonic() - started, bar=BAR, after=what)
                        named = re.findall(r"\(rows (\d+)–(\d+)\)", told)
                        assert any(int(a) <= row <= int(b) for a, b in named), told
    return outcome


def rows_with(kind: type[Deadly], row: int) -> Rows:
    values = np.random.default_rng(0).normal(size=(BLOCKS * BLOCK_ROWS, FEATURES))
    rows = open_rows(values, block_bytes=BLOCK_BYTES)
    return replace(rows, source=kind(values, tuple("abcd"), row=row))


def _error(rows: Rows, client: object) -> str:
    try:
        fitted(rows, client=client, cache="none")
    except BlocksKilledWorkers as problem:
        return str(problem)
    raise AssertionError("the fit came through")
