"""Rows to fit, the model that every cluster must come to, and certificates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zarr

from gmm_dask.models.model import load_model
from tests.deploy.processes import BIN, DEPLOY, Processes, processes_in, well


@dataclass(frozen=True)
class Work:
    """Rows in a store, and the words of a fit that makes enough passes to be struck in."""

    source: Path
    folder: Path
    passes: int = 300

    def fit(self, out: Path, *more: object) -> list[object]:
        """A command whose result does not depend on where it runs."""
        stopping = ["--tol", 0, "--max-iter", self.passes, "--accelerate", "none"]
        command = [BIN / "gmm-dask", "fit", self.source, "-k", 4, "--seed", 1]
        return [*command, *stopping, "--out", out, "--json", *more]


def bits(run: Path) -> list[bytes]:
    """The parameters of a run's model."""
    mixture = load_model(str(run / "model.zarr")).mixture
    arrays = (mixture.weights, mixture.means, mixture.covariances)
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


@pytest.fixture(scope="package")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    folder = tmp_path_factory.mktemp("deploy")
    draw = np.random.default_rng(3)
    count = 400_000  # several blocks: every worker has a share
    rows = draw.normal(size=(count, 4)) + draw.integers(4, size=(count, 1)) * [1, 0, 2, 0]
    zarr.create_array(str(folder / "rows.zarr"), data=rows, chunks=(10_000, 4))
    return Work(folder / "rows.zarr", folder)


@pytest.fixture(scope="package")
def alone(work: Work) -> list[bytes]:
    """The model of the same fit in one process."""
    well(work.fit(work.folder / "alone"))
    return bits(work.folder / "alone")


def certificates_in(folder: Path, *options: object) -> Path:
    well([DEPLOY / "tls" / "make-certificates", folder, *options])
    return folder


@pytest.fixture(scope="package")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates_in(tmp_path_factory.mktemp("cluster") / "dask")


@pytest.fixture(scope="package")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates just as good, of another authority."""
    return certificates_in(tmp_path_factory.mktemp("elsewhere") / "dask")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with processes_in(tmp_path) as started:
        yield started
