"""What is written of every row that is scored."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Lt

from gmm_dask.settings.checks import check
from gmm_dask.settings.declaration import Help
from gmm_dask.settings.errors import ConfigurationError

Written = Literal["labels", "probabilities", "log_density"]
ITEM_BYTES = {"float64": 8, "float32": 4}
WRITABLE: tuple[Written, ...] = get_args(Written)


@dataclass(frozen=True)
class ScoreOptions:
    """What to write of every row."""

    write: Annotated[tuple[Written, ...], Help("Write", "the arrays of the group")] = (
        "labels",
        "log_density",
    )
    top: Annotated[
        int | None, Ge(1), Help("Top", "only the m most probable components of each row")
    ] = None
    quantile: Annotated[
        float | None, Gt(0), Lt(1), Help("Quantile", "share of rows that are outliers")
    ] = None
    threshold: Annotated[
        float | None, Help("Threshold", "rows of a log density below it are outliers")
    ] = None
    dtype: Annotated[
        Literal["float64", "float32"], Help("Stored as", "of probabilities and log densities")
    ] = "float64"

    def __post_init__(self) -> None:
        check(self)
        if not self.names:
            raise ConfigurationError("nothing is to be written: name at least one of write=")
        if self.quantile is not None and self.threshold is not None:
            raise ConfigurationError(
                "outliers lie below a quantile or a threshold: pass one of the two"
            )
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ConfigurationError(f"threshold={self.threshold} must be a finite log density")

    def check_top(self, components: int) -> None:
        """Refuse more components of a row than there are."""
        if self.top is not None and self.top > components:
            raise ConfigurationError(
                f"top={self.top} must lie between 1 and {components} components"
            )

    def row_bytes(self, components: int) -> int:
        """Of the widest array."""
        width = self.top or (components if "probabilities" in self.write else 1)
        return max(8, width * ITEM_BYTES[self.dtype])

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays of the first pass; a quantile is one of the log densities, as written."""
        chosen: set[str] = {*self.write}
        if self.top is not None:
            chosen = (chosen - {"probabilities"}) | {"top_components", "top_probabilities"}
        if self.quantile is not None:
            chosen |= {"log_density"}
        if self.threshold is not None:
            chosen |= {"outlier"}
        return tuple(sorted(chosen))


@dataclass(frozen=True)
class ScoreRequest(ScoreOptions):
    """What to write of every row, and what becomes of what is there."""

    overwrite: Annotated[
        bool, Help("Overwrite", "replace scores by another model, or of other rows")
    ] = False
