"""Models: readable by any Zarr reader, the same bits again, no damage unseen."""

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmm_dask.mixture.covariance import family_named, family_names
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models import model as model_module
from gmm_dask.models.model import load_model, save_model
from gmm_dask.store.errors import DamagedError, KeyExistsError, KeyMissingError, StorageError
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.location import open_folder

FAMILIES = ("full", "tied", "diag", "spherical")
PROVENANCE = {"rows": 1000, "objective": -1.25, "worst": float("-inf"), "versions": {"numpy": "2"}}


def mixture_of(family: str, components: int = 3, features: int = 2, seed: int = 0) -> Mixture:
    random = np.random.default_rng(seed)
    roots = random.standard_normal((components, features, features))
    full = roots @ roots.transpose(0, 2, 1) + np.eye(features)
    full = (full + full.transpose(0, 2, 1)) / 2
    covariances = {
        "full": full,
        "tied": full[0],
        "diag": np.diagonal(full, axis1=1, axis2=2),
        "spherical": full[:, 0, 0],
    }[family]
    weights = random.uniform(0.1, 1, components)
    means = random.standard_normal((components, features)) * 1e3
    return Mixture(weights / weights.sum(), means, covariances, family)


def same_mixture(one: Mixture, two: Mixture) -> bool:
    names = ("weights", "means", "covariances", "precisions")
    same = (getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in names)
    return one.family == two.family and all(same)


def save(mixture: Mixture, where: str, **options: Any) -> None:
    names = [f"feature {number}" for number in range(mixture.features)]
    save_model(mixture, where, feature_names=names, provenance=PROVENANCE, **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_saving_then_loading_is_identity(where: str, family: str) -> None:
    mixture = mixture_of(family)
    save(mixture, where)
    model = load_model(where)
    assert same_mixture(model.mixture, mixture)
    assert model.feature_names == ("feature 0", "feature 1")
    assert model.provenance == PROVENANCE


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    family=st.sampled_from(FAMILIES),
    components=st.integers(1, 5),
    features=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_any_mixture_survives(
    tmp_path: Path, family: str, components: int, features: int, seed: int
) -> None:
    mixture = mixture_of(family, components, features, seed)
    save_model(mixture, tmp_path / "m", feature_names=None, provenance={}, overwrite=True)
    model = load_model(tmp_path / "m")
    assert same_mixture(model.mixture, mixture)
    assert model.feature_names is None


def test_several_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "_CHUNK_BYTES", 64)
    mixture = mixture_of("full", components=7, features=2)
    save(mixture, str(tmp_path / "m"))
    assert len(list((tmp_path / "m" / "covariances" / "c").iterdir())) == 4
    assert same_mixture(load_model(tmp_path / "m").mixture, mixture)


def test_zarr_alone_reads_it(tmp_path: Path) -> None:
    mixture = mixture_of("full")
    save(mixture, str(tmp_path / "m"))
    group = zarr.open_group(str(tmp_path / "m"), mode="r")
    for name in ("weights", "means", "covariances", "precisions"):
        assert np.array_equal(group[name][...], getattr(mixture, name))
    assert group.attrs["family"] == "full"
    assert group.attrs["feature_names"] == ["feature 0", "feature 1"]
    assert group.attrs["format_version"] == 1
    assert group.attrs["provenance"]["objective"] == -1.25


def test_another_model_is_not_overwritten_unasked(where: str) -> None:
    first, second = mixture_of("full"), mixture_of("diag", components=2)
    save(first, where)
    with pytest.raises(KeyExistsError, match="overwrite=True replaces it"):
        save(second, where)
    assert same_mixture(load_model(where).mixture, first)
    save(second, where, overwrite=True)
    assert same_mixture(load_model(where).mixture, second)


def test_overwriting_leaves_nothing_beside_the_model(tmp_path: Path) -> None:
    for components in (3, 2):
        save(mixture_of("full", components), str(tmp_path / "m"), overwrite=True)
    assert os.listdir(tmp_path) == ["m"]


def test_no_model_there(where: str) -> None:
    with pytest.raises(KeyMissingError, match="there is no model at"):
        load_model(where)


def test_half_written_model_is_no_model(where: str) -> None:
    save(mixture_of("full"), where)
    open_folder(where).delete("zarr.json")
    with pytest.raises(KeyMissingError, match="there is no model at"):
        load_model(where)


def test_wrong_number_of_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 features, but 1 names"):
        save_model(mixture_of("full"), tmp_path / "m", feature_names=["x"], provenance={})


def test_any_damage_is_found(where: str) -> None:
    mixture = mixture_of("full")
    save(mixture, where)
    folder = open_folder(where)
    for key in folder.list():
        whole = folder.read(key)
        flips = np.linspace(0, 8 * len(whole) - 1, 4).astype(int)
        copies = [whole[:-1], b"", whole + b" ", *(flipped(whole, flip) for flip in flips)]
        for damaged in copies:
            folder.replace(key, damaged)
            with pytest.raises(DamagedError, match=f"{key} in .* is damaged"):
                load_model(where)
        folder.delete(key)
        with pytest.raises(KeyMissingError, match=key):
            load_model(where)
        folder.replace(key, whole)
    assert same_mixture(load_model(where).mixture, mixture)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_bit_is_covered(tmp_path: Path) -> None:
    save_model(mixture_of("spherical", 1, 1), tmp_path / "m", feature_names=["é"], provenance={})
    for key in LocalFolder(tmp_path / "m").list():
        path = tmp_path / "m" / key
        whole = path.read_bytes()
        for bit in range(0, 8 * len(whole), 19):
            path.write_bytes(flipped(whole, bit))
            with pytest.raises(DamagedError, match=f"{key} in .* is damaged"):
                load_model(tmp_path / "m")
        path.write_bytes(whole)


def test_zarr_alone_finds_a_flipped_chunk(tmp_path: Path) -> None:
    save(mixture_of("full"), str(tmp_path / "m"))
    chunk = tmp_path / "m" / "means" / "c" / "0" / "0"
    chunk.write_bytes(flipped(chunk.read_bytes(), 77))
    group = zarr.open_group(str(tmp_path / "m"), mode="r")
    with pytest.raises(ValueError, match="checksum"):
        group["means"][...]


def forge(where: Path, key: str, data: bytes) -> None:
    """Put other bytes in a model, with all checksums made to fit."""
    folder = LocalFolder(where)
    attributes = json.loads(folder.read("zarr.json"))["attributes"]
    folder.replace(key, data)
    attributes.pop("checksum")
    attributes["files"][key] = [len(data), model_module.hashlib.sha256(data).hexdigest()]
    folder.replace("zarr.json", model_module._sealed_group(attributes))


@pytest.mark.parametrize("field", ["shape", "chunk"])
def test_declared_size_is_checked_before_anything_is_allocated(tmp_path: Path, field: str) -> None:
    where = tmp_path / "m"
    save(mixture_of("full"), str(where))
    metadata = json.loads((where / "means" / "zarr.json").read_text())
    if field == "shape":
        metadata["shape"] = [10**9, 10**6]
    else:
        metadata["chunk_grid"]["configuration"]["chunk_shape"] = [10**9, 10**6]
    forge(where, "means/zarr.json", json.dumps(metadata).encode())
    tracemalloc.start()
    with pytest.raises(StorageError, match=r"holds no valid mixture: means declares shape"):
        load_model(where)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_compressed_arrays_are_not_unpacked(tmp_path: Path) -> None:
    where = tmp_path / "m"
    save(mixture_of("full"), str(where))
    metadata = json.loads((where / "means" / "zarr.json").read_text())
    metadata["codecs"].append({"name": "zstd", "configuration": {"level": 0, "checksum": True}})
    forge(where, "means/zarr.json", json.dumps(metadata).encode())
    with pytest.raises(StorageError, match="not a plain float64"):
        load_model(where)


def test_values_that_make_no_mixture_are_refused(tmp_path: Path) -> None:
    where = tmp_path / "m"
    save(mixture_of("spherical", 1, 1), str(where))
    folder = LocalFolder(where)
    other = tmp_path / "other"
    save(mixture_of("spherical", 1, 1, seed=1), str(other))
    for value, told in ((np.nan, "finite"), (-1.0, "holds no valid mixture")):
        group = zarr.open_group(str(other), mode="r+")
        group["covariances"][...] = value
        forge(where, "covariances/c/0", (other / "covariances" / "c" / "0").read_bytes())
        with pytest.raises(StorageError, match=told):
            load_model(where)
    assert "covariances/c/0" in folder.list()


@pytest.mark.parametrize("family", FAMILIES)
def test_xarray_opens_a_model_with_named_dimensions(family: str, tmp_path: Path) -> None:
    mixture = mixture_of(family)
    save(mixture, str(tmp_path / "model.zarr"))
    with xarray.open_zarr(tmp_path / "model.zarr", consolidated=False) as opened:
        assert dict(opened.sizes) == {
            "component": 3,
            "feature": 2,
            **({"other_feature": 2} if family in ("full", "tied") else {}),
        }
        assert opened["means"].dims == ("component", "feature")
        np.testing.assert_array_equal(opened["covariances"], mixture.covariances)
        assert opened["covariances"].dims == opened["precisions"].dims
        if family == "full":
            assert opened["covariances"].dims == ("component", "feature", "other_feature")


@pytest.mark.parametrize("family", family_names())
def test_every_family_has_names_for_its_axes(family: str, tmp_path: Path) -> None:
    shape = family_named(family).shape(3, 2)
    covariances = np.ones(shape) + np.eye(2) if shape[-2:] == (2, 2) else np.ones(shape)
    mixture = Mixture(np.full(3, 1 / 3), np.zeros((3, 2)), covariances, family)
    save(mixture, str(tmp_path / "model.zarr"))
    with xarray.open_zarr(tmp_path / "model.zarr", consolidated=False) as opened:
        dims = opened["covariances"].dims
        assert len(set(dims)) == len(shape)
        assert set(dims) <= {"component", "feature", "other_feature", "shared"}
