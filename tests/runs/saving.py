"""A checkpoint written at once, where a run's writer would do it in its own time."""

from collections.abc import Mapping

from numpy.typing import NDArray

from gmm_dask.runs.checkpoint import take_snapshot, write_snapshot
from gmm_dask.runs.record import id_in
from gmm_dask.store.folder import Folder


def save_checkpoint(
    folder: Folder, iteration: int, state: Mapping[str, object], arrays: Mapping[str, NDArray]
) -> None:
    """Write one checkpoint, in place of an earlier one of the same iteration."""
    write_snapshot(folder, take_snapshot(iteration, state, arrays), id_in(folder))
