"""Row 23: whatever is in a file, it is read or refused with a typed error, and nothing is run."""

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from gmm_dask import Configuration, Mixture
from gmm_dask.chunked.rows import open_rows
from gmm_dask.mixture.iteration import start
from gmm_dask.models.model import _sealed_group, load_model, save_model
from gmm_dask.runs.checkpoint import load_newest
from gmm_dask.runs.state import decode_state, encode_state
from gmm_dask.runs.view import RunView
from gmm_dask.settings import toml
from gmm_dask.settings.job import Job, job_from
from gmm_dask.store.arrays import pack_arrays, unpack_arrays
from gmm_dask.store.errors import DamagedCheckpointWarning
from gmm_dask.store.object_folder import ObjectFolder
from gmm_dask.store.sealed import CHECKSUM, from_json, seal, to_json
from tests.chunked.conftest import store
from tests.faults.inputs.mutating import damaged, junk, mutated
from tests.faults.inputs.refusing import REFUSALS
from tests.faults.outcome import Outcome, Scale

Try = Callable[[Any], object]
SHARES = {
    "configuration text": 8000, "configuration values": 14000, "Zarr v3 metadata": 5000,
    "Zarr v2 metadata": 3000, "npy bytes": 5000, "manifests": 6000, "states": 4000,
    "arrays": 4000, "run records": 3000, "model attributes": 2500, "model arrays": 1500,
}  # fmt: skip
"""Cases in full; a hundredth in small."""


def fuzzed(scale: Scale, seed: int) -> Outcome:
    """Every kind of file, so many cases each."""
    outcome = Outcome()
    with TemporaryDirectory(prefix="faults-", dir=_fast_place()) as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedCheckpointWarning)
        for what, strategy, read in _targets(Path(name)):
            count = SHARES[what] // (1 if scale == "full" else 100)
            with outcome.trying(what, cases=count):
                _fuzz(strategy, read, count, seed)
            outcome.figures[what] = count
    outcome.figures["cases"] = sum(int(n) for n in outcome.figures.values())  # type: ignore[call-overload]
    return outcome


def _fast_place() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _fuzz(strategy: st.SearchStrategy[Any], read: Try, count: int, seed: int) -> None:
    @hypothesis.seed(seed)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def typed(case: Any) -> None:
        try:
            read(case)
        except REFUSALS:
            pass
        except Exception as problem:
            told = f"{type(problem).__name__}: {problem} of {case!r}"
            raise AssertionError(told[:900]) from problem

    typed()


def _targets(folder: Path) -> list[tuple[str, st.SearchStrategy[Any], Try]]:
    text = _configuration_text()
    return [
        ("configuration text", damaged(text.encode()), _read_configuration),
        ("configuration values", _configuration_values(), _read_configuration),
        ("Zarr v3 metadata", *_zarr(folder, 3)),
        ("Zarr v2 metadata", *_zarr(folder, 2)),
        ("npy bytes", *_npy(folder)),
        *_checkpoints(),
        ("run records", *_records()),
        *_models(folder),
    ]


def _configuration_text() -> str:
    """Every key there is, with its default or something like it."""
    values = {**Configuration(3).as_dict(), "accelerate": "none", "relative_tol": 1e-9}
    return "\n".join(
        [
            'source = "rows.zarr"', 'run = "runs/a"', 'cache = "auto"', "checkpoint_every = 2",
            "[mixture]", *(toml.line(*one) for one in values.items() if one[1] is not None),
            "[rows]", 'columns = ["a", "b"]', 'weights = "w"', "first_row = 0",
            "[cluster]", 'kind = "dask_jobqueue.SLURMCluster"', "workers = 2", 'wait = "2h"',
            "[cluster.arguments]", 'queue = "long"', "cores = 4",
        ]
    )  # fmt: skip


def _configuration_values() -> st.SearchStrategy[bytes]:
    """Lines of a whole file, some with other values, some twice, some elsewhere."""
    lines = _configuration_text().splitlines()
    literals = junk.filter(lambda one: one is not None).map(_toml_of) | st.sampled_from(
        (
            "inf",
            "-inf",
            "nan",
            "1979-05-27",
            "07:32:00",
            "0x7f",
            "1_000",
            "[" * 2000,
            "9" * 5000,
            "''",
        )
    )

    def changed(chosen: list[tuple[int, str]]) -> bytes:
        found = list(lines)
        for at, literal in chosen:
            name, equals, _ = found[at].partition(" = ")
            found[at] = f"{name} = {literal}" if equals else literal
        return "\n".join(found).encode("utf-8", "surrogatepass")

    place = st.integers(0, len(lines) - 1)
    return st.lists(st.tuples(place, literals), min_size=1, max_size=4).map(changed)


def _toml_of(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_of, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml_of(v)}" for k, v in value.items()) + "}"
    return json.dumps(value) if isinstance(value, str | bool) else repr(value)


def _read_configuration(content: bytes) -> object:
    return job_from(toml.read(content.decode("utf-8", "replace"), Job, "a.toml"))


def _zarr(folder: Path, version: int) -> tuple[st.SearchStrategy[Any], Try]:
    values = np.arange(12.0).reshape(6, 2)
    path = Path(store(folder / f"v{version}.zarr", values, chunks=(4, 2), zarr_format=version))
    described = path / ("zarr.json" if version == 3 else ".zarray")
    document = json.loads(described.read_text())

    def read(case: Any) -> None:
        described.write_text(json.dumps(case))
        rows = open_rows(path)
        if rows.nbytes < 2**24:
            rows.verify(0)
            rows.read(0)
            rows.fingerprint()

    return mutated(document), read


def _npy(folder: Path) -> tuple[st.SearchStrategy[Any], Try]:
    path = folder / "rows.npy"
    np.save(path, np.arange(12.0).reshape(6, 2))

    def read(case: bytes) -> None:
        path.write_bytes(case)
        rows = open_rows(path)
        if rows.nbytes < 2**24:
            rows.read(0)

    header = path.read_bytes()
    return damaged(header[:80]).map(lambda found: found + header[80:]), read


def _checkpoints() -> list[tuple[str, st.SearchStrategy[Any], Try]]:
    """Manifests, states and arrays that lie, under checksums that are right."""
    state, arrays = encode_state(start([_mixture()]))
    packed, told = pack_arrays(arrays), to_json(state)
    files = {"arrays-00.npz": packed, "state-00.json": told}
    described = {name.partition("-")[0]: _described(name, data) for name, data in files.items()}
    manifest = {"format_version": 1, "iteration": 3, "files": described}

    def read(content: Any, state: bytes, arrays: bytes) -> None:
        folder = ObjectFolder(MemoryStore(), "memory")
        place = "checkpoints/it-00000003"
        folder.create(f"{place}/arrays-00.npz", arrays)
        folder.create(f"{place}/state-00.json", state)
        folder.create(f"{place}/MANIFEST.json", content)
        found = load_newest(folder)
        if found is not None:
            decode_state(found.state, found.arrays)

    def read_manifest(case: Any) -> None:
        case.pop(CHECKSUM, None)
        read(seal(case), told, packed)

    def with_files(state: bytes, arrays: bytes) -> bytes:
        listed = {
            "arrays": _described("arrays-00.npz", arrays),
            "state": _described("state-00.json", state),
        }
        return seal({**manifest, "files": listed})

    def read_state(case: Any) -> None:
        content = to_json(case)
        read(with_files(content, packed), content, packed)

    def read_arrays(case: bytes) -> None:
        unpack_arrays(case, "arrays")

    return [
        ("manifests", mutated(manifest), read_manifest),
        ("states", mutated(state), read_state),
        ("arrays", damaged(packed), read_arrays),
    ]


def _described(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _records() -> tuple[st.SearchStrategy[Any], Try]:
    record = {
        "format_version": 1, "configuration": {"components": 3}, "seed": 0, "versions": {"a": "1"},
        "fingerprint": {"shape": [3, 2], "extremes": [float("inf"), {"$x": 1}]},
    }  # fmt: skip

    def read(case: Any) -> None:
        folder = ObjectFolder(MemoryStore(), "memory")
        content = case if isinstance(case, bytes) else seal(case)
        folder.create("run.json", content)
        folder.create("FINISHED.json", content)
        view = RunView("memory", folder)
        _ = view.finished
        _ = view.record

    return mutated(record) | damaged(seal(record)), read


def _models(folder: Path) -> list[tuple[str, st.SearchStrategy[Any], Try]]:
    path = folder / "model.zarr"
    save_model(_mixture(), path, feature_names=["a", "b"], provenance={"data": "x"})
    root, inner = path / "zarr.json", path / "weights" / "zarr.json"
    attributes = dict(from_json(root.read_bytes())["attributes"])
    attributes.pop("checksum")
    described = inner.read_bytes()

    def read(case: Any) -> None:
        inner.write_bytes(described)
        root.write_bytes(_sealed_group(case))
        load_model(path)

    def read_array(case: Any) -> None:
        data = json.dumps(case).encode()
        inner.write_bytes(data)
        entry = [len(data), hashlib.sha256(data).hexdigest()]
        files = {**attributes["files"], "weights/zarr.json": entry}
        root.write_bytes(_sealed_group({**attributes, "files": files}))
        load_model(path)

    return [
        ("model attributes", mutated(attributes), read),
        ("model arrays", mutated(json.loads(described)), read_array),
    ]


def _mixture() -> Mixture:
    return Mixture([0.5, 0.25, 0.25], np.arange(6.0).reshape(3, 2), [np.eye(2)] * 3)
