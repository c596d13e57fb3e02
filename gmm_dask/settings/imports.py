"""How files become one Zarr array."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from gmm_dask.settings.checks import check
from gmm_dask.settings.declaration import Help


@dataclass(frozen=True)
class ImportOptions:
    """How files become one Zarr array."""

    columns: Annotated[
        tuple[str, ...] | None, Help("Columns", "only these columns, by name: a,b,c")
    ] = None
    nan: Annotated[
        Literal["error", "skip", "keep"],
        Help(
            "Rows with missing values",
            "rows with missing or infinite values: an error, left out, or kept",
        ),
    ] = "error"
    dtype: Annotated[
        Literal["float64", "float32"] | None,
        Help("Stored as", "stored as this (else as in the file; text as float64)"),
    ] = None
    chunk_rows: Annotated[
        int | None, Ge(1), Help("Rows per chunk", "rows per chunk (else about 8 MB of them)")
    ] = None
    overwrite: Annotated[bool, Help("Overwrite", "replace what is there")] = False

    def __post_init__(self) -> None:
        check(self)
