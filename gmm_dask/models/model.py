"""A fitted mixture as a Zarr v3 group that any Zarr reader opens, and that knows if it was damaged.

    model/zarr.json          family, feature_names, provenance, ...; written last
    model/weights, means, covariances, precisions      float64, each chunk with a crc32c

The group's attributes hold length and hash of every other file, and a checksum of the group's own
metadata, so that a flipped bit anywhere is found, and a chunk that is gone, which Zarr itself would
read as zeros.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from gmm_dask.mixture.arrays import frozen
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.noise import Noise
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.store.atomic_directory import replaced_directory
from gmm_dask.store.errors import (
    DamagedError,
    KeyExistsError,
    KeyMissingError,
    StorageError,
    UnknownFormatError,
)
from gmm_dask.store.folder import Folder
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.location import Location, checked_name, open_folder
from gmm_dask.store.sealed import from_json, to_json

FORMAT_VERSION = 1
MODEL = "model.zarr"
"""What a model is called in the folder of its run, or of its version."""
_ROOT = "zarr.json"
_ARRAYS = ("weights", "means", "covariances", "precisions")
_COMPONENTS, _FEATURES = 97, 89
_AXES = {_COMPONENTS: "component", _FEATURES: "feature", 1: "shared"}
"""What axes are, told by lengths that are unlike each other."""
_CODECS = ["bytes", "crc32c"]
_CHUNK_BYTES = 2**25


@dataclass(frozen=True, eq=False)
class Model:
    """A mixture, the names of its features, and where it comes from."""

    mixture: Mixture
    feature_names: tuple[str, ...] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


def holder_of(place: str) -> str:
    """The folder of the run, or of the version, that a model lies in; else its own place."""
    return place.rstrip("/").removesuffix(f"/{MODEL}")


def save_model(
    mixture: Mixture,
    where: Location,
    *,
    feature_names: Sequence[str] | None,
    provenance: Mapping[str, object],
    overwrite: bool = False,
) -> None:
    """Write a model to a path or URL; on return it is durable.

    Where a driver holds what it writes to, `write_model` is for its guarded folder instead.
    """
    checked_name(where)
    write_model(
        open_folder(where),
        mixture,
        feature_names=feature_names,
        provenance=provenance,
        overwrite=overwrite,
    )


def write_model(
    folder: Folder,
    mixture: Mixture,
    *,
    feature_names: Sequence[str] | None,
    provenance: Mapping[str, object],
    overwrite: bool = False,
) -> None:
    """Write a model as what a folder holds; on return it is durable.

    On local files the model appears in one step, and replaces an earlier one in one step. In an
    object store the group's metadata comes last: until then there is no model, and while one is
    overwritten there is none either.
    """
    if feature_names is not None and len(feature_names) != mixture.features:
        raise Refusal(f"{mixture.features} features, but {len(feature_names)} names")
    _root_file(mixture, feature_names, provenance, {})  # what cannot be written is told before
    if isinstance(folder, LocalFolder):
        with replaced_directory(folder.root, overwrite=overwrite) as temporary:
            _write(LocalFolder(temporary), mixture, feature_names, provenance)
    else:
        _clear(folder, overwrite)
        _write(folder, mixture, feature_names, provenance)


def load_model(where: Location) -> Model:
    """Read a model, every byte checked; StorageError says what is wrong and where."""
    folder = open_folder(where)
    attributes = _read_root(folder)
    try:
        files = _read_files(folder, attributes["files"])
        arrays = _decode(files)
        names, provenance = attributes["feature_names"], attributes["provenance"]
        mixture = Mixture(
            arrays["weights"],
            arrays["means"],
            arrays["covariances"],
            attributes["family"],
            noise_from(attributes.get("noise")),
        )
        if arrays["precisions"].shape != arrays["covariances"].shape:
            raise ValueError("precisions and covariances differ in shape")
        if not (names is None or isinstance(names, list)) or not isinstance(provenance, dict):
            raise TypeError("feature_names must be a list and provenance an object")
        if names is not None and len(names) != mixture.features:
            raise ValueError(f"{mixture.features} features, but {len(names)} names")
    except StorageError:
        raise
    except Exception as error:  # whatever Zarr makes of metadata that are none
        raise StorageError(f"{folder} holds no valid mixture: {error}") from error
    return Model(mixture, None if names is None else tuple(map(str, names)), provenance)


def _array_files(mixture: Mixture) -> Iterator[tuple[str, bytes]]:
    """What Zarr writes for the four arrays, key by key: of one array after the other, for large
    ones together would be several times the mixture."""
    for name in _ARRAYS:
        if name == "precisions":  # not to be kept by the mixture
            values = mixture.kind.from_factors(mixture.factors)
        else:
            values = getattr(mixture, name)
        stored: dict[str, Any] = {}
        _store(stored, name, np.ascontiguousarray(values, dtype="<f8"), mixture.family)
        yield from ((key, stored.pop(key).to_bytes()) for key in sorted(stored) if key != _ROOT)


def _store(stored: dict[str, Any], name: str, values: NDArray[Any], family: str) -> None:
    length = max(1, _CHUNK_BYTES // max(1, values[:1].nbytes))
    array = zarr.open_group(MemoryStore(stored), mode="w", zarr_format=3).create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(min(length, len(values)), *values.shape[1:]),
        compressors=zarr.codecs.Crc32cCodec(),
        filters=None,
        dimension_names=_dimensions(name, family),
        # Zarr leaves out chunks of zeros, and what is not there carries no checksum.
        config={"write_empty_chunks": True},
    )
    array[...] = values


def _dimensions(name: str, family: str) -> tuple[str, ...]:
    """What the axes of an array are, for xarray to name: no two may be called alike."""
    if name in ("weights", "means"):
        return ("component", "feature")[: 1 + (name == "means")]
    shape = family_named(family).shape(_COMPONENTS, _FEATURES)
    known = [_AXES[length] for length in shape]
    return tuple(f"other_{d}" if d in known[:i] else d for i, d in enumerate(known))


def noise_from(said: Mapping[str, Any] | None) -> Noise | None:
    """Noise as the group's attributes tell of it; a model of earlier versions has none."""
    if said is None:
        return None
    box = None if said["box"] is None else frozen(said["box"])
    return Noise(float(said["weight"]), float(said["log_density"]), box)


def noise_told(noise: Noise) -> dict[str, Any]:
    """Noise in plain values."""
    box = None if noise.box is None else noise.box.tolist()
    return {"weight": noise.weight, "log_density": noise.log_density, "box": box}


def _root_file(
    mixture: Mixture,
    feature_names: Sequence[str] | None,
    provenance: Mapping[str, object],
    described: Mapping[str, list[Any]],
) -> bytes:
    attributes = {
        "format": "gmm-dask model",
        "format_version": FORMAT_VERSION,
        "family": mixture.family,
        **({} if mixture.noise is None else {"noise": noise_told(mixture.noise)}),
        "feature_names": None if feature_names is None else [str(name) for name in feature_names],
        "provenance": provenance,
        "files": {key: described[key] for key in sorted(described)},
    }
    return _sealed_group(attributes)


def _sealed_group(attributes: Mapping[str, object]) -> bytes:
    """Group metadata whose attributes end with a checksum of all the rest."""
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    checksum = hashlib.sha256(to_json(group)).hexdigest()
    return to_json({**group, "attributes": {**attributes, "checksum": checksum}})


def _write(
    folder: Folder,
    mixture: Mixture,
    feature_names: Sequence[str] | None,
    provenance: Mapping[str, object],
) -> None:
    described: dict[str, list[Any]] = {}
    for key, data in _array_files(mixture):
        folder.replace(key, data)
        described[key] = [len(data), hashlib.sha256(data).hexdigest()]
    folder.replace(_ROOT, _root_file(mixture, feature_names, provenance, described))


def _clear(folder: Folder, overwrite: bool) -> None:
    if folder.exists(_ROOT):
        if not overwrite:
            raise KeyExistsError(f"{folder} exists already; overwrite=True replaces it")
        folder.delete(_ROOT)
    for name in _ARRAYS:
        folder.discard(name)


def _read_root(folder: Folder) -> dict[str, Any]:
    try:
        data = folder.read(_ROOT)
    except KeyMissingError as error:
        raise KeyMissingError(f"there is no model at {folder}: {_ROOT} is missing") from error
    try:
        attributes = dict(from_json(data)["attributes"])
        attributes.pop("checksum")
        whole = _sealed_group(attributes) == data
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"{_ROOT} in {folder} is damaged, or no model of gmm-dask") from error
    if not whole:
        raise DamagedError(f"{_ROOT} in {folder} is damaged: its checksum does not fit its content")
    if attributes.get("format_version") != FORMAT_VERSION:
        raise UnknownFormatError(
            f"{folder} has format version {attributes.get('format_version')}; this program reads "
            f"{FORMAT_VERSION}: use the version of gmm-dask that wrote it"
        )
    return attributes


def _read_files(folder: Folder, described: Mapping[str, Any]) -> dict[str, bytes]:
    files = {}
    for key, (length, digest) in described.items():
        data = folder.read(key)
        if len(data) != length or hashlib.sha256(data).hexdigest() != digest:
            raise DamagedError(f"{key} in {folder} is damaged: its bytes are not those written")
        files[key] = data
    return files


def _decode(files: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    make = default_buffer_prototype().buffer.from_bytes
    store = MemoryStore({key: make(data) for key, data in files.items()}, read_only=True)
    return {name: _decode_array(store, name, files) for name in _ARRAYS}


def _decode_array(store: MemoryStore, name: str, files: Mapping[str, bytes]) -> NDArray[Any]:
    """One array; what it declares is held against the bytes there are before it is allocated."""
    metadata = from_json(files[f"{name}/{_ROOT}"])
    codecs = [codec["name"] for codec in metadata["codecs"]]
    if metadata["data_type"] != "float64" or codecs != _CODECS:
        raise ValueError(f"{name} is {metadata['data_type']} through {codecs}, not a plain float64")
    chunk = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    present = sum(len(data) for key, data in files.items() if key.startswith(f"{name}/c"))
    for shape in (metadata["shape"], chunk):
        if 8 * int(np.prod([int(side) for side in shape], dtype=object)) > present:
            raise ValueError(f"{name} declares shape {shape} and holds {present} bytes")
    values: NDArray[Any] = np.asarray(zarr.open_array(store, path=name, mode="r")[...])
    return values
