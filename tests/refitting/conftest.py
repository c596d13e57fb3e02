"""Stores of rows that grow, and folders of models beside them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zarr

from gmm_dask import Configuration, Refit, RefitOptions, refit
from gmm_dask.fitting.starts import digest
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.versions import load_version

OF_CONDUCT = ("client", "callbacks", "cluster", "nonfinite")
FITTED = Configuration(3, tol=1e-6)
CENTRES = np.array([[0.0, 0, 0], [6, 0, 0], [0, 7, 0]])


def drawn(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Rows of three round clusters."""
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 3)) + CENTRES[random.integers(0, 3, count)] + shift


@dataclass
class Store:
    """A Zarr array that rows are appended to, and the models that are kept up with it."""

    place: str
    models: str

    @property
    def array(self) -> zarr.Array:
        return zarr.open_array(self.place)

    def write(self, rows: np.ndarray) -> None:
        array = zarr.create_array(self.place, shape=rows.shape, chunks=(500, 3), dtype="f8")
        array[...] = rows

    def append(self, rows: np.ndarray) -> None:
        array = self.array
        before = array.shape[0]
        array.resize((before + len(rows), 3))
        array[before:] = rows

    def refit(self, configuration: Configuration = FITTED, **options) -> Refit:
        conduct = {k: options.pop(k) for k in OF_CONDUCT if k in options}
        return refit(
            self.place, self.models, configuration, options=RefitOptions(**options), **conduct
        )

    def current(self) -> Mixture:
        return load_version(self.models).model.mixture

    def digest(self) -> str:
        return digest(self.current())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "rows.zarr"), str(tmp_path / "models" / "rows"))
    made.write(drawn(4000, 0))
    return made
