"""Parquet files, a row group at a time; pyarrow is asked for only here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gmm_dask.chunked.sources import DataError
from gmm_dask.data.parquet_pages import check_footer, check_pages
from gmm_dask.data.table_file import Batch, TableFile, chosen


def open_parquet(path: str, wanted: Sequence[str] | None) -> TableFile:
    """The numeric columns of a Parquet file; what is null becomes NaN."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{path} needs the package pyarrow: pip install pyarrow") from None
    try:
        with open(path, "rb") as bare:
            check_footer(path, bare)
        file = parquet.ParquetFile(path)
    except (OSError, arrow.ArrowException) as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem
    schema = file.schema_arrow
    names = [schema.names[j] for j in chosen(path, schema.names, wanted)]
    kinds = {name: schema.field(name).type for name in names}
    _refuse_words(path, kinds, arrow)
    with open(path, "rb") as bare:
        check_pages(path, bare, file, names)
    single = all(arrow.types.is_float32(kind) for kind in kinds.values())
    dtype = np.dtype("f4" if single else "f8")

    def batches(size: int) -> Iterator[Batch]:
        for part in file.iter_batches(batch_size=size, columns=names):
            yield np.column_stack([_numbers(part.column(name), dtype) for name in names])

    return TableFile(path, tuple(names), dtype, batches)


def _refuse_words(path: str, kinds: dict[str, Any], arrow: Any) -> None:
    types = arrow.types
    wrong = {
        name: kind
        for name, kind in kinds.items()
        if not (types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind))
    }
    if wrong:
        columns = ", ".join(f"{name} ({kind})" for name, kind in wrong.items())
        raise DataError(f"{path}: {columns} hold no numbers; choose the columns to import")


def _numbers(column: Any, dtype: np.dtype[Any]) -> Batch:
    values: Batch = np.asarray(column.to_numpy(zero_copy_only=False), dtype=dtype)
    return values
