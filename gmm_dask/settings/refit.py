"""What decides about a refit: the section [refit]."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from gmm_dask.settings.checks import check
from gmm_dask.settings.declaration import Help, not_default


@dataclass(frozen=True)
class RefitOptions:
    """When a new model takes the place of the current one, and when drift is an alarm."""

    margin: Annotated[
        float,
        Ge(0),
        Help("Margin", "least gain in mean log density per held-back row for a promotion"),
    ] = 1e-3
    held_back: Annotated[
        float,
        Gt(0),
        Lt(1),
        Help("Held back", "share of rows that no fit sees, on which models are compared"),
    ] = 0.1
    drift_alarm: Annotated[
        float,
        Ge(0),
        Help(
            "Drift alarm",
            "alarm when the mean log density of new rows is lower than expected by more",
        ),
    ] = 0.5
    outlier_quantile: Annotated[
        float, Gt(0), Lt(1), Help("Outliers", "outliers are rarer than this share of known rows")
    ] = 0.01
    outlier_alarm: Annotated[
        float, Gt(0), Lt(1), Help("Outlier alarm", "alarm when more of the new rows are outliers")
    ] = 0.05
    changed: Annotated[
        Literal["error", "refit"],
        Help(
            "Earlier rows that changed",
            "earlier rows that changed: an error, or all are fitted anew",
        ),
    ] = "error"
    keep: Annotated[int, Ge(1), Help("Keep", "versions kept")] = 10

    def __post_init__(self) -> None:
        check(self)

    def given(self) -> dict[str, Any]:
        """What is not as it is without a word."""
        return not_default(self)
