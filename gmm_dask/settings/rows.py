"""Which rows and columns of a source: the section [rows]."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge

from gmm_dask.settings.checks import check
from gmm_dask.settings.declaration import Help
from gmm_dask.settings.identity import identity_of
from gmm_dask.settings.secrets import Address

FORMAT_1 = (
    *("array", "columns", "features", "weights", "first_row", "last_row"),
    *("nonfinite", "missing_chunks"),
)
"""The fields of which flows named the first run folders."""

Names = tuple[str, ...] | None


@dataclass(frozen=True)
class RowOptions:
    """What `open_rows` is told beside the source; rows run from `first_row` up to `last_row`."""

    array: Annotated[
        str | None, Help("Array", "array of a group; not needed if it has only one table")
    ] = None
    columns: Annotated[Names, Help("Columns", "1-D arrays of a group as features: a,b,c")] = None
    features: Annotated[Names, Help("Features", "only these features, by name: a,b,c")] = None
    weights: Annotated[
        str | None,
        Address(),
        Help("Weights", "array of row weights: a name in the group, or a path"),
    ] = None
    first_row: Annotated[
        int | None, Ge(0), Help("First row", "first row, from 0; those before it are left out")
    ] = None
    last_row: Annotated[int | None, Ge(0), Help("Last row", "rows end before this one")] = None
    nonfinite: Annotated[
        Literal["error", "skip"],
        Help("Rows with NaN or infinity", "rows with NaN or infinity: an error, or left out"),
    ] = "error"
    missing_chunks: Annotated[
        Literal["error", "fill"],
        Help("Absent chunks", "absent chunks: an error, or read as the fill value"),
    ] = "error"

    sample_dims: Annotated[
        Names, Help("Sample dimensions", "of a grid: rows lie along these dimensions: time,lat,lon")
    ] = None
    feature_dims: Annotated[
        Names, Help("Feature dimensions", "of a grid: features lie along these, all the others")
    ] = None

    def __post_init__(self) -> None:
        check(self)

    @property
    def chooses(self) -> bool:
        """Whether it says which arrays of a group are meant."""
        return any((self.array, self.columns, self.sample_dims, self.feature_dims))

    def identity(self) -> dict[str, Any]:
        """What tells these rows from others of the source."""
        return identity_of(self, FORMAT_1)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `open_rows`."""
        given = dict(vars(self))
        first, last = given.pop("first_row"), given.pop("last_row")
        given["rows"] = None if first is None and last is None else slice(first, last)
        return given
