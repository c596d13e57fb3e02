"""Files, one after the other, into one Zarr array whose attributes name the features."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from gmm_dask.chunked.rows import TARGET_BYTES
from gmm_dask.chunked.sources import DataError
from gmm_dask.chunked.sources.protocol import real_dtype
from gmm_dask.data.numpy_files import open_npy, open_npz
from gmm_dask.data.parquet import open_parquet
from gmm_dask.data.table import TableArray, TableStore
from gmm_dask.data.table_file import Batch, TableFile
from gmm_dask.data.text import open_text
from gmm_dask.store.location import Location

NanPolicy: TypeAlias = Literal["error", "skip", "keep"]

TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat")
KINDS: dict[str, Callable[[str, Sequence[str] | None], TableFile]] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ".parquet": open_parquet,
    ".pq": open_parquet,
    **dict.fromkeys((*TEXT, *(f"{ending}.gz" for ending in TEXT)), open_text),
}


@dataclass(frozen=True)
class Imported:
    """What was written."""

    rows: int
    skipped: int
    feature_names: tuple[str, ...]
    dtype: str


def import_files(
    files: Sequence[str | os.PathLike[str]],
    out: Location,
    *,
    columns: Sequence[str] | None = None,
    nan: NanPolicy = "error",
    dtype: str | None = None,
    chunk_rows: int | None = None,
    overwrite: bool = False,
    tell: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Stream tables of the same columns into one array; nothing is there until all is.

    `nan` says what becomes of rows with values that are missing or not finite. Without `dtype`
    numbers stay what they are; those of text are float64.
    """
    if nan not in ("error", "skip", "keep"):
        raise DataError(f"nan={nan!r} is not known; pass error, skip or keep")
    tables = [open_file(os.fspath(file), columns) for file in files]
    names = _common_names(tables)
    stored = real_dtype(dtype or np.result_type(*(table.dtype for table in tables)), "dtype")
    size = chunk_rows or max(1, TARGET_BYTES // (8 * len(names)))
    array = TableArray(
        "", stored.name, size, len(names), compressed=True, attributes={"feature_names": names}
    )
    store = TableStore.begin(out, overwrite=overwrite)
    cleaner = Cleaner(nan, stored, names)
    rows = 0
    for number, chunk in enumerate(chunks_of(cleaner.cleaned(tables, size), size)):
        store.write(array, number, chunk)
        rows += len(chunk)
        tell(len(chunk))
    if not rows:
        raise DataError(f"{', '.join(map(str, files))}: no rows to import")
    store.finish([array.of(rows)])
    return Imported(rows, cleaner.skipped, tuple(names), stored.name)


def open_file(path: str, columns: Sequence[str] | None) -> TableFile:
    """A file by its ending."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"there is no file {file}")
    endings = ["".join(file.suffixes[-2:]).lower(), file.suffix.lower()]
    for ending in endings:
        if ending in KINDS:
            return KINDS[ending](str(file), columns)
    raise DataError(f"{file} is of no known kind; known are {', '.join(KINDS)}")


def _common_names(tables: Sequence[TableFile]) -> list[str]:
    if not tables:
        raise DataError("name at least one file to import")
    for table in tables[1:]:
        if table.names != tables[0].names:
            raise DataError(
                f"{table.path} has the columns {', '.join(table.names)} and {tables[0].path} "
                f"{', '.join(tables[0].names)}; they must be the same"
            )
    return list(tables[0].names)


@dataclass
class Cleaner:
    """Applies the policy for missing values, and counts what it leaves out."""

    policy: NanPolicy
    dtype: np.dtype[Any]
    names: Sequence[str]
    skipped: int = 0

    def cleaned(self, tables: Iterable[TableFile], size: int) -> Iterator[Batch]:
        """All rows of all files, in the dtype that is stored."""
        for table in tables:
            row = 0
            for batch in table.batches(size):
                yield self._clean(batch, table.path, row)
                row += len(batch)

    def _clean(self, batch: Batch, path: str, first: int) -> Batch:
        fine = np.isfinite(batch)
        if self.policy == "error" and not fine.all():
            row, column = np.argwhere(~fine)[0]
            raise DataError(
                f"{path}: row {first + row + 1} has {self.names[column]} = {batch[row, column]}; "
                "clean it, or choose to skip or keep such rows (--nan skip, --nan keep)"
            )
        if self.policy == "skip":
            whole = fine.all(axis=1)
            self.skipped += int(np.count_nonzero(~whole))
            batch = batch[whole]
        if self.dtype.kind in "iu" and not np.isfinite(batch).all():
            raise DataError(f"{path}: {self.dtype} holds no NaN; choose a floating dtype")
        return batch.astype(self.dtype)


def chunks_of(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """The same rows in parts of exactly this size, but for the last."""
    held: list[Batch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += len(batch)
        if count >= size:
            joined = np.concatenate(held)
            whole = count - count % size
            yield from (joined[first : first + size] for first in range(0, whole, size))
            held, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(held)
