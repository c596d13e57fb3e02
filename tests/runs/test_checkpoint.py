"""Checkpoints: save then load is identity, damage is told and passed over."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gmm_dask.runs.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    complete_iterations,
    keep,
    load_newest,
)
from gmm_dask.runs.checkpoint_writer import CheckpointWriter
from gmm_dask.store.errors import (
    DamagedCheckpointWarning,
    DamagedError,
    StorageError,
    UnknownFormatError,
)
from gmm_dask.store.folder import Folder, GuardedFolder
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.location import open_folder
from gmm_dask.store.sealed import seal, unseal
from tests.runs.saving import save_checkpoint
from tests.store.test_arrays import ARRAYS, NAMES, same_bits
from tests.store.test_sealed import STATES, same

STATE = {"objective": [-1.5, float("nan")], "random": {"state": 2**127 + 1}, "reason": None}


def arrays_of(iteration: int) -> dict[str, NDArray[Any]]:
    return {"means": np.full((3, 2), iteration / 3), "weights": np.ones(3)}


def save(folder: Folder, *iterations: int) -> None:
    for iteration in iterations:
        save_checkpoint(folder, iteration, {**STATE, "at": iteration}, arrays_of(iteration))


def check(checkpoint: Checkpoint | None, iteration: int) -> None:
    assert checkpoint is not None
    assert checkpoint.iteration == iteration
    assert same(checkpoint.state, {**STATE, "at": iteration})
    expected = arrays_of(iteration)
    assert list(checkpoint.arrays) == list(expected)
    assert all(same_bits(checkpoint.arrays[name], expected[name]) for name in expected)


def test_nothing_saved_yet(where: str) -> None:
    assert load_newest(open_folder(where)) is None


def test_newest_is_loaded(where: str) -> None:
    folder = open_folder(where)
    save(folder, 9, 100_000_000, 10)
    check(load_newest(open_folder(where)), 100_000_000)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(state=STATES, arrays=st.dictionaries(NAMES, ARRAYS, max_size=3))
def test_saving_then_loading_is_identity(
    where: str, state: dict[str, object], arrays: dict[str, NDArray[Any]]
) -> None:
    folder = open_folder(where)
    save_checkpoint(folder, 0, state, arrays)
    loaded = load_newest(folder)
    assert loaded is not None
    assert same(loaded.state, state)
    assert list(loaded.arrays) == list(arrays)
    assert all(same_bits(loaded.arrays[name], arrays[name]) for name in arrays)


def test_same_iteration_again_replaces_it(where: str) -> None:
    folder = open_folder(where)
    save_checkpoint(folder, 1, {"at": "first"}, {})
    save(folder, 1)
    check(load_newest(folder), 1)


def test_leftovers_of_a_killed_writer_are_ignored_then_cleared(where: str) -> None:
    folder = open_folder(where)
    save(folder, 1)
    folder.create("checkpoints/it-00000002/arrays-0123456789ab.npz", b"half")
    check(load_newest(folder), 1)
    save(folder, 2)
    check(load_newest(folder), 2)
    folder.create("checkpoints/it-00000003/state-0123456789ab.json", b"half")
    keep(folder)
    assert not folder.list("checkpoints/it-00000003")


def test_keep_leaves_the_newest(where: str) -> None:
    folder = open_folder(where)
    save(folder, *range(1, 8))
    keep(folder, last=2)
    assert complete_iterations(folder) == [6, 7]
    assert len(folder.list()) == 6
    with pytest.raises(ValueError, match="at least one"):
        keep(folder, last=0)


def test_half_deleted_checkpoint_is_never_taken_for_a_whole_one(where: str) -> None:
    folder = open_folder(where)
    save(folder, 1, 2)
    folder.delete("checkpoints/it-00000002/MANIFEST.json")
    check(load_newest(folder), 1)


def damaged_copies(data: bytes) -> list[bytes]:
    """Cut short at both ends and in the middle, prolonged, and flipped at 12 bits."""
    copies = [b"", data[:-1], data[: len(data) // 2], data + b"\0"]
    for position in np.linspace(0, 8 * len(data) - 1, 12).astype(int):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        copies.append(bytes(flipped))
    return copies


@pytest.mark.parametrize("name", ["MANIFEST", "state", "arrays"])
def test_any_damage_is_told_and_the_one_before_is_used(where: str, name: str) -> None:
    folder = open_folder(where)
    save(folder, 1, 2)
    [key] = [key for key in folder.list("checkpoints/it-00000002") if f"/{name}" in key]
    whole = folder.read(key)
    for damaged in damaged_copies(whole):
        folder.replace(key, damaged)
        with pytest.warns(DamagedCheckpointWarning, match=f"{key} is damaged.*before"):
            check(load_newest(folder), 1)
    folder.delete(key)
    if name != "MANIFEST":  # without its manifest it was never completed
        with pytest.warns(DamagedCheckpointWarning, match=f"{key} is missing"):
            check(load_newest(folder), 1)
    folder.replace(key, whole)
    check(load_newest(folder), 2)


def test_every_bit_of_a_checkpoint_is_covered(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    save_checkpoint(folder, 1, {"x": 1.5}, {"a": np.arange(2.0)})
    for key in folder.list():
        path, whole = tmp_path / key, folder.read(key)
        for position in range(8 * len(whole)):
            flipped = bytearray(whole)
            flipped[position // 8] ^= 1 << position % 8
            path.write_bytes(flipped)
            with pytest.warns(DamagedCheckpointWarning), pytest.raises(DamagedError, match="all 1"):
                load_newest(folder)
        path.write_bytes(whole)


def test_damaged_iteration_is_written_anew(where: str) -> None:
    folder = open_folder(where)
    save(folder, 1, 2)
    folder.replace("checkpoints/it-00000002/MANIFEST.json", b"{}")
    save(folder, 2)
    check(load_newest(folder), 2)


def test_all_damaged_is_an_error(where: str) -> None:
    folder = open_folder(where)
    save(folder, 1)
    folder.replace("checkpoints/it-00000001/MANIFEST.json", b"{}")
    with (
        pytest.warns(DamagedCheckpointWarning),
        pytest.raises(DamagedError, match=r"all 1 checkpoints.*--restart"),
    ):
        load_newest(folder)


class Overtaken(GuardedFolder):
    """A folder as a reader sees it whose driver goes on right after the listing."""

    def __init__(self, folder: Folder, last: int) -> None:
        super().__init__(folder, lambda: None)
        self.folder, self.reached, self.last = folder, 3, last

    def list(self, prefix: str = "") -> list[str]:
        found = super().list(prefix)
        if self.reached < self.last:
            save(self.folder, *range(self.reached + 1, self.reached + 4))
            keep(self.folder, last=3)
            self.reached += 3
        return found


@pytest.mark.parametrize("last", [6, 12])
def test_beside_a_quick_driver_what_was_listed_and_is_gone_is_not_damaged(
    where: str, last: int
) -> None:
    folder = open_folder(where)
    save(folder, 1, 2, 3)
    check(load_newest(Overtaken(folder, last)), last)


def test_newer_format_is_not_mistaken_for_damage(where: str) -> None:
    folder = open_folder(where)
    save(folder, 1, 2)
    key, newer = "checkpoints/it-00000002/MANIFEST.json", FORMAT_VERSION + 1
    folder.replace(key, seal({**unseal(folder.read(key), key), "format_version": newer}))
    with pytest.raises(UnknownFormatError, match=f"has format version {newer}"):
        load_newest(folder)


def test_writer_copies_what_it_is_given(where: str) -> None:
    with CheckpointWriter(open_folder(where), last=2) as writer:
        for iteration in range(5):
            arrays = arrays_of(iteration)
            writer.submit(iteration, {**STATE, "at": iteration}, arrays)
            arrays["means"][:] = -1
            assert writer.acknowledged == (iteration - 1 if iteration else None)
        writer.flush()
        assert writer.acknowledged == 4
    check(load_newest(open_folder(where)), 4)
    assert complete_iterations(open_folder(where)) == [0, 3, 4]


@pytest.mark.timed
def test_writing_overlaps_what_comes_next(tmp_path: Path) -> None:
    hold = 0.3
    with CheckpointWriter(LocalFolder(tmp_path), before=lambda: time.sleep(hold)) as writer:
        begun = time.perf_counter()
        writer.submit(1, {}, {})
        assert time.perf_counter() - begun < hold / 2
        writer.flush()
        assert time.perf_counter() - begun > hold


def test_failed_write_is_told_by_the_next_call(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    writer = CheckpointWriter(LocalFolder(tmp_path))
    writer.submit(1, {}, {})
    with pytest.raises(StorageError, match="could not be written"):
        writer.submit(2, {}, {})
    (tmp_path / "checkpoints").unlink()
    writer.submit(3, {}, {})
    writer.close()
    writer.close()
    assert writer.acknowledged == 3


def test_failed_write_does_not_hide_the_error_under_way(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")

    def fit() -> None:
        with CheckpointWriter(LocalFolder(tmp_path)) as writer:
            writer.submit(1, {}, {})
            raise ArithmeticError("the fit's own")

    with pytest.raises(ArithmeticError) as failure:
        fit()
    assert "checkpoint could not be written either" in failure.value.__notes__[0]
