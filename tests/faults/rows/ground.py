"""What most rows stand on: a store, the digest of its undisturbed fit, a folder, a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distributed import Client

from tests.faults.cluster import cluster_of
from tests.faults.fits import digest, fitted, stored_rows

WORKERS = 3
MEMORY = "600MB"


@dataclass(frozen=True)
class Ground:
    """Rows at `stored`, whose fit by the serial engine has the digest `undisturbed`."""

    folder: Path
    stored: str
    undisturbed: str


@contextmanager
def ground() -> Iterator[Ground]:
    with TemporaryDirectory(prefix="faults-") as name:
        stored = stored_rows(Path(name) / "rows.zarr")
        yield Ground(Path(name), stored, digest(fitted(stored)))


@contextmanager
def ground_and_cluster(workers: int = WORKERS, **options: Any) -> Iterator[tuple[Ground, Client]]:
    options.setdefault("memory_limit", MEMORY)
    with ground() as made, cluster_of(workers, **options) as client:
        yield made, client
