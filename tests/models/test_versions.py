"""Versions of a model and the pointer to the current one, on files and in an object store."""

import subprocess
import sys

import pytest

from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.model import Model
from gmm_dask.models.versions import (
    Standing,
    load_version,
    look_at_versions,
    model_place,
    open_versions,
)
from gmm_dask.runs.inspection import inspect
from gmm_dask.store.errors import DamagedError, KeyMissingError, RunIsBusy, StorageError
from gmm_dask.store.location import open_folder
from tests.store.dying import mixture


def made(components: int) -> Model:
    found: Mixture = mixture(components)
    return Model(found, ("a", "b"), {"components": components})


def promote(where: str, components: int, keep: int = 10) -> str:
    with open_versions(where) as versions:
        decision = {"outcome": "promoted", "run": f"r{components}"}
        return versions.promote(
            made(components), {"k": components}, decision, {"asked": components}, keep=keep
        )


def test_the_newest_is_current_until_rolled_back(where: str) -> None:
    assert look_at_versions(where) is None
    assert [promote(where, k) for k in (1, 2, 3)] == ["v0001", "v0002", "v0003"]
    current = load_version(where)
    assert (current.name, current.facts) == ("v0003", {"k": 3})
    assert current.where == model_place(where, "v0003")
    assert current.model.feature_names == ("a", "b")
    with open_versions(where) as versions:
        versions.roll_back("v0002")
        versions.note({"outcome": "kept"}, {"asked": 4}, keep=10)
    found = look_at_versions(where)
    assert found is not None
    assert (found.current, found.looked) == ("v0002", {"asked": 4})
    assert [one["outcome"] for one in found.decisions] == [*["promoted"] * 3, "rolled back", "kept"]
    assert [one["version"] for one in found.decisions] == ["v0001", "v0002", "v0003"] + [
        "v0002"
    ] * 2
    assert load_version(where).model.mixture.components == 2
    assert promote(where, 4) == "v0004"


def test_only_so_many_are_kept_but_always_the_current_one(where: str) -> None:
    for components in (1, 2, 3):
        promote(where, components, keep=2)
    folder = open_folder(where)
    assert {key.partition("/")[0] for key in folder.list() if key[0] == "v"} == {"v0002", "v0003"}
    with pytest.raises(StorageError, match="keeps no version 'v0001'; kept are v0002, v0003"):
        load_version(where, "v0001")
    with open_versions(where) as versions:
        versions.roll_back("v0002")
        versions.note({"outcome": "kept", "run": "r9"}, {}, keep=1)
    assert load_version(where).name == "v0002"


def test_runs_of_no_version_and_no_recent_decision_are_removed(where: str) -> None:
    folder = open_folder(where)
    for components in (1, 2, 3):
        folder.replace(f"runs/r{components}/run.json", b"{}")
        promote(where, components, keep=1)
    assert [key for key in folder.list() if key.startswith("runs/")] == ["runs/r3/run.json"]


PROMOTING = """
import sys
from tests.models.test_versions import promote
for components in range(2, 17):
    promote(sys.argv[1], 1 + components % 3, keep=1)
"""


def test_a_reader_that_is_overtaken_again_and_again_looks_again(where: str) -> None:
    """Where only the current version is kept, each promotion removes what a reader may be at."""
    promote(where, 1)
    with subprocess.Popen([sys.executable, "-c", PROMOTING, where]) as promoting:
        reads = 0
        while promoting.poll() is None:
            version = load_version(where)
            assert version.model.mixture.components == version.facts["k"]
            assert inspect(where).mixture is not None
            reads += 1
    assert promoting.returncode == 0
    assert reads > 1
    assert load_version(where).name == "v0016"


def test_one_process_at_a_time(where: str) -> None:
    promote(where, 1)
    with open_versions(where) as versions:
        with pytest.raises(RunIsBusy):
            open_versions(where)
        assert load_version(where).name == "v0001"  # looking needs no lock
        versions.roll_back("v0001")
    open_versions(where).close()


def test_a_damaged_pointer_is_found(where: str) -> None:
    promote(where, 1)
    folder = open_folder(where)
    folder.replace("current.json", folder.read("current.json").replace(b"v0001", b"v0002", 1))
    for look in (look_at_versions, load_version, open_versions):
        with pytest.raises(DamagedError, match=r"current\.json"):
            look(where)
    folder.delete("current.json")
    with pytest.raises(KeyMissingError, match="no models at"):
        load_version(where)


def test_a_damaged_version_is_not_rolled_back_to(where: str) -> None:
    for components in (1, 2):
        promote(where, components)
    folder = open_folder(where)
    key = next(k for k in folder.list() if k.startswith("v0001/model.zarr/means/c"))
    folder.replace(key, folder.read(key)[::-1])
    with open_versions(where) as versions, pytest.raises(DamagedError):
        versions.roll_back("v0001")
    assert load_version(where).name == "v0002"


def test_other_folders_are_not_taken(tmp_path) -> None:
    (tmp_path / "rows.zarr").mkdir()
    (tmp_path / "rows.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(StorageError, match=r"no folder of models: it holds zarr\.json"):
        open_versions(tmp_path / "rows.zarr")
    with pytest.raises(StorageError, match="is no name"):
        open_versions(tmp_path / "a b")
    assert Standing().next == "v0001"
