"""Files that would run code, or take all memory, if they were believed."""

import gzip
import hashlib
import json
import os
import pickle
import struct
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile

import numpy as np
from numcodecs import BZ2, LZ4, LZMA, Blosc, GZip, Zlib, Zstd
from zarr.errors import ZarrUserWarning

from gmm_dask import Mixture
from gmm_dask.chunked.rows import open_rows
from gmm_dask.data import import_files
from gmm_dask.models.model import _sealed_group, load_model, save_model
from gmm_dask.store.arrays import pack_arrays, unpack_arrays
from gmm_dask.store.sealed import from_json
from tests.chunked.conftest import store
from tests.faults.inputs.parquet_bombs import parquet_file

Attempt = Callable[[], object]
HUGE = 2**40
SWOLLEN = 2**27
BLOSC = {
    "name": "blosc",
    "configuration": {
        "typesize": 8, "cname": "zstd", "clevel": 5, "shuffle": "shuffle", "blocksize": 0
    },
}  # fmt: skip
CODECS: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}


class Marking:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return open, (str(self.mark), "w")


def pickles(folder: Path, mark: Path) -> list[tuple[str, Attempt]]:
    """Everything here that reads arrays, given pickles in their place."""
    bad = np.array([Marking(mark)] * 2, dtype=object)
    raw = pickle.dumps(bad)
    np.save(folder / "object.npy", bad, allow_pickle=True)
    (folder / "raw.npy").write_bytes(raw)
    np.savez(folder / "object.npz", a=bad)
    (folder / "archive.npy").write_bytes((folder / "object.npz").read_bytes())
    filtered = {"filters": [{"id": "pickle"}]}
    zarrs = {
        "v2 objects": v2(folder / "a.zarr", raw, dtype="|O", **filtered),
        "v2 numbers through pickle": v2(folder / "b.zarr", raw, **filtered),
        "v2 compressed by pickle": v2(folder / "c.zarr", raw, compressor={"id": "pickle"}),
        "v3 pickle": v3(folder / "d.zarr", raw, codecs=[CODECS, {"name": "pickle"}]),
        "v3 of numcodecs": v3(
            folder / "e.zarr", raw, codecs=[CODECS, {"name": "numcodecs.pickle"}]
        ),
        "v3 a class": v3(folder / "f.zarr", raw, codecs=[CODECS, {"name": "builtins.exec"}]),
    }
    checkpoint = (folder / "object.npz").read_bytes()
    return [
        *((what, reading(path)) for what, path in zarrs.items()),
        *((name, reading(folder / name)) for name in ("object.npy", "raw.npy", "archive.npy")),
        ("imported .npz", lambda: import_files([folder / "object.npz"], folder / "out.zarr")),
        ("imported .npy", lambda: import_files([folder / "object.npy"], folder / "out.zarr")),
        ("imported pickle", lambda: import_files([folder / "raw.npy"], folder / "out.zarr")),
        ("a checkpoint's arrays", lambda: unpack_arrays(checkpoint, "arrays.npz")),
        ("a model's arrays", _model_of(folder, {"data_type": "object"})),
    ]


def bombs(folder: Path) -> list[tuple[str, Attempt]]:
    """A few bytes that declare a terabyte or more."""
    small = store(folder / "small.zarr", np.zeros((4, 2)), chunks=(4, 2))
    frame = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", HUGE) + b"\x01\x00\x00"
    (Path(small) / "c" / "0" / "0").write_bytes(frame)
    shapes = {
        "rows, tiny chunks": ([HUGE, 2], [1, 2]),
        "rows, small chunks": ([HUGE, 2], [1000, 2]),
        "rows, one chunk": ([HUGE, 2], [HUGE, 2]),
        "features": ([4, HUGE], [4, HUGE]),
        "features, tiny chunks": ([4, HUGE], [4, 1]),
        "a small array in a huge chunk": ([4, 2], [HUGE, 2]),
        "beyond 64 bits": ([2**80, 2], [4, 2]),
    }
    grids = [
        (f"zarr.json: {what}", reading(v3(folder / f"{i}.zarr", bytes(64), shape, chunks)))
        for i, (what, (shape, chunks)) in enumerate(shapes.items())
    ]
    inner = {"chunk_shape": [1, 1], "codecs": [CODECS], "index_codecs": [CODECS]}
    shard = [{"name": "sharding_indexed", "configuration": inner}]
    return [
        *grids,
        ("shards", reading(v3(folder / "s.zarr", bytes(64), [HUGE, 2], [HUGE, 2], codecs=shard))),
        (".zarray", reading(v2(folder / "z.zarr", bytes(64), shape=[HUGE, 2], chunks=[HUGE, 2]))),
        ("a compressed chunk", reading(small)),
        ("a sparse chunk", reading(_sparse(folder / "sparse.zarr"))),
        ("npy header", reading(_npy(folder / "a.npy", f"({HUGE}, 2)"))),
        ("npy header beyond 64 bits", reading(_npy(folder / "b.npy", f"({2**80},)"))),
        ("npy record", reading(_npy(folder / "c.npy", "(2, 2)", "('<f8', (999999999,))"))),
        ("npy header length", reading(_npy_of_length(folder / "d.npy"))),
        ("imported", lambda: import_files([_npy_of_length(folder / "e.npy")], folder / "out.zarr")),
        ("a checkpoint's arrays", lambda: unpack_arrays(_declaring(HUGE), "arrays.npz")),
        ("a model's shape", _model_of(folder, {"shape": [HUGE]})),
        ("a model's chunks", _model_of(folder, {"chunk_grid": _grid([HUGE])})),
        *_packed(folder),
        *_archived(folder),
        *_texts(folder),
        *_tables(folder),
    ]


def _sparse(path: Path) -> Path:
    """A chunk whose file says that it is long, and takes no room on a disk."""
    os.truncate(v3(path, bytes(64)) / "c" / "0" / "0", 2**30)
    return path


def _packed(folder: Path) -> list[tuple[str, Attempt]]:
    """Chunks of 4 × 2 that become SWOLLEN bytes, by every codec that makes anything smaller."""
    zeros = bytes(SWOLLEN)
    unsized = b"\x28\xb5\x2f\xfd\x00\x38" + _repeated(SWOLLEN)
    made = {
        "zstd": ({"name": "zstd", "configuration": {"level": 0, "checksum": False}}, Zstd()),
        "gzip": ({"name": "gzip", "configuration": {"level": 5}}, GZip()),
        "blosc": (dict(BLOSC), Blosc(cname="zstd")),
        **{
            f"numcodecs.{name}": ({"name": f"numcodecs.{name}", "configuration": {}}, codec)
            for name, codec in {"zlib": Zlib(), "bz2": BZ2(), "lzma": LZMA(), "lz4": LZ4()}.items()
        },
    }
    contents = {name: (told, bytes(codec.encode(zeros))) for name, (told, codec) in made.items()}
    contents["zstd of no size"] = (made["zstd"][0], unsized)
    contents["gzip upon gzip"] = (made["gzip"][0], gzip.compress(bytes(64)) + contents["gzip"][1])
    inner = {"chunk_shape": [4, 2], "index_codecs": [CODECS]}
    found = []
    for number, (name, (told, content)) in enumerate(contents.items()):
        path = folder / f"packed-{number}"
        codecs = [CODECS, told]
        found.append(
            (f"{name} in a chunk", reading(v3(Path(f"{path}.zarr"), content, codecs=codecs)))
        )
        shard = [{"name": "sharding_indexed", "configuration": {**inner, "codecs": codecs}}]
        whole = content + struct.pack("<QQ", 0, len(content))
        found.append((f"{name} in a shard", reading(v3(Path(f"{path}.s"), whole, codecs=shard))))
    # 4096 × 4096 zeros, as zfp 1.0.1 packs them
    zfp = bytes.fromhex("7a667005f7ff00f0ff0090ca") + bytes(131076)
    told = [{"name": "numcodecs.zfpy", "configuration": {}}]
    found.append(("zfp", reading(v3(folder / "zfp.zarr", zfp, codecs=told))))
    for name, (_, codec) in made.items():
        path, content = folder / f"v2-{name}", contents[name][1]
        found.append((f"v2 {name}", reading(v2(path, content, compressor=codec.get_config()))))
    return found


def _repeated(size: int) -> bytes:
    """Blocks of zstd that are one byte, again and again."""
    block = 2**17
    header = (block << 3 | 1 << 1).to_bytes(3, "little")
    return (header + b"\0") * (size // block - 1) + (block << 3 | 3).to_bytes(3, "little") + b"\0"


def _archived(folder: Path) -> list[tuple[str, Attempt]]:
    """Members of archives that become SWOLLEN bytes."""
    described = json.loads(v3(folder / "plain.zarr", bytes(64)).joinpath("zarr.json").read_text())
    described["attributes"] = {"said": " " * SWOLLEN}
    (folder / "said.zarr").mkdir()
    (folder / "said.zarr" / "zarr.json").write_text(json.dumps(described))
    members = {
        "metadata": {"zarr.json": json.dumps(described)},
        "a chunk": {"zarr.json": (folder / "plain.zarr" / "zarr.json").read_text()},
    }
    members["a chunk"]["c/0/0"] = "\0" * SWOLLEN
    found = [("metadata", reading(folder / "said.zarr"))]
    for number, (what, files) in enumerate(members.items()):
        for way in (ZIP_DEFLATED, ZIP_LZMA):
            path = folder / f"{number}-{way}.zip"
            with ZipFile(path, "w", way) as archive:
                for name, text in files.items():
                    archive.writestr(name, text)
            found.append((f"{what} in a .zip, {way}", reading(path)))
    with ZipFile(folder / "header.npz", "w", ZIP_DEFLATED) as archive:
        declared = (SWOLLEN).to_bytes(4, "little")
        archive.writestr("a.npy", b"\x93NUMPY\x02\x00" + declared + b" " * SWOLLEN)
    found.append((".npz header", lambda: import_files([folder / "header.npz"], folder / "o.zarr")))
    return found


def _texts(folder: Path) -> list[tuple[str, Attempt]]:
    """A line without end, as the first one and later; a cell beyond what is read."""
    lines = {
        "first": b"1" * SWOLLEN,
        "second": b"a,b\n1,2\n" + b"1" * SWOLLEN,
        "cell": b'a,b\n1,"' + b"1" * 200_000 + b'x"\n',
    }
    found: list[tuple[str, Attempt]] = []
    for name, content in lines.items():
        path = folder / f"{name}.csv.gz"
        path.write_bytes(gzip.compress(content))
        found.append((f"text: {name}", partial(import_files, [path], folder / "out.zarr")))
    return found


def _tables(folder: Path) -> list[tuple[str, Attempt]]:
    """Parquet: pages that become what no numbers of so many rows are."""
    few, most = np.arange(8).tobytes(), 2**31 - 1
    made = {
        "a page of zeros": parquet_file(folder / "zeros.parquet", bytes(SWOLLEN), 8),
        "a page that says so": parquet_file(folder / "said.parquet", few, 8, most),
        "a page and a footer that say so": parquet_file(folder / "both.parquet", few, HUGE, most),
    }
    return [
        (f"parquet: {what}", partial(import_files, [path], folder / "out.zarr"))
        for what, path in made.items()
    ]


def reading(path: Path | str) -> Attempt:
    def attempt() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZarrUserWarning)  # codecs of numcodecs in format 3
            rows = open_rows(path)
        rows.verify(0)
        rows.read(0)

    return attempt


def v2(path: Path, chunk: bytes, **over: Any) -> Path:
    path.mkdir()
    described = {"zarr_format": 2, "shape": [4, 2], "chunks": [4, 2], "dtype": "<f8", "order": "C"}
    empty = {"compressor": None, "filters": None, "fill_value": 0}
    (path / ".zarray").write_text(json.dumps({**described, **empty, **over}))
    (path / "0.0").write_bytes(chunk)
    return path


def v3(
    path: Path,
    chunk: bytes,
    shape: list[int] | None = None,
    chunks: list[int] | None = None,
    codecs: list[Any] | None = None,
) -> Path:
    (path / "c" / "0").mkdir(parents=True)
    described = {
        "zarr_format": 3, "node_type": "array", "shape": shape or [4, 2], "data_type": "float64",
        "chunk_grid": _grid(chunks or [4, 2]), "fill_value": 0.0, "codecs": codecs or [CODECS],
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    }  # fmt: skip
    (path / "zarr.json").write_text(json.dumps(described))
    (path / "c" / "0" / "0").write_bytes(chunk)
    return path


def _grid(chunks: list[int]) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": chunks}}


def _header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def _npy(path: Path, shape: str, descr: str = "'<f8'") -> Path:
    path.write_bytes(_header(shape, descr) + bytes(64))
    return path


def _npy_of_length(path: Path) -> Path:
    path.write_bytes(b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little") + b"{" * 64)
    return path


def _declaring(size: int) -> bytes:
    """An archive whose one array says that it is larger than its bytes."""
    whole = pack_arrays({"a": np.zeros(1000)})
    old, new = _header("(1000,)"), _header(f"({size},)")
    assert len(old) == len(new)
    assert old in whole
    return whole.replace(old, new)


def _model_of(folder: Path, over: dict[str, Any]) -> Attempt:
    """A model whose weights say something else, under checksums that are right."""
    path = folder / f"model-{len(list(folder.iterdir()))}"
    save_model(Mixture([1.0], [[0.0]], [[[1.0]]]), path, feature_names=None, provenance={})
    inner, root = path / "weights" / "zarr.json", path / "zarr.json"
    data = json.dumps({**json.loads(inner.read_text()), **over}).encode()
    attributes = dict(from_json(root.read_bytes())["attributes"])
    attributes.pop("checksum")
    attributes["files"]["weights/zarr.json"] = [len(data), hashlib.sha256(data).hexdigest()]
    inner.write_bytes(data)
    root.write_bytes(_sealed_group(attributes))
    return lambda: load_model(path)
