"""What keeps components from degenerating, and what becomes of those that do.

Imports no NumPy: command-line help is made of the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from gmm_dask.mixture.prior import Prior, VariationalPrior
from gmm_dask.mixture.refusals import Refusal

DegeneratePolicy: TypeAlias = Literal["floor", "reseed", "drop", "error"]
POLICIES: tuple[DegeneratePolicy, ...] = get_args(DegeneratePolicy)


@dataclass(frozen=True)
class Regularisation:
    """What keeps covariances apart from zero, and what becomes of components that get there.

    reg_covar is added to every variance (scikit-learn's meaning, in the data's own units);
    relative_floor is the least variance of a component relative to the data's variance in each
    feature. A component is degenerate with too few rows for its family (D + 1 for full) or when
    its covariance meets the floor: `floor` keeps it there, `reseed` puts it where the heaviest
    component is split, `drop` removes it, `error` raises. `steps` are those to which the features
    are rounded: a component that is thinner is told of, and wins nothing. `weight` is that of all
    rows, which a variational fit must know before it sees them.
    """

    reg_covar: float = 1e-6
    relative_floor: float = 1e-20
    degenerate: DegeneratePolicy = "floor"
    steps: tuple[float, ...] = ()
    prior: Prior | VariationalPrior | None = None
    weight: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.reg_covar < float("inf"):
            raise Refusal(f"reg_covar must be a number from 0 up, not {self.reg_covar}")
        if not 0 < self.relative_floor < 1:
            raise Refusal(f"relative_floor must be between 0 and 1, not {self.relative_floor}")
        if self.degenerate not in POLICIES:
            raise Refusal(
                f"degenerate must be floor, reseed, drop or error, not {self.degenerate!r}"
            )


class RegularisationWarning(UserWarning):
    """reg_covar is not small beside the data: variances come out larger than they are."""
