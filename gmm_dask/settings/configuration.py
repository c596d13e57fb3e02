"""What to fit and how, in plain values: the same fields for a script, a TOML file and a flow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

from gmm_dask.mixture.acceleration import acceleration_named
from gmm_dask.mixture.covariance import family_named
from gmm_dask.mixture.iteration import EMSettings
from gmm_dask.mixture.kernels import Arithmetic
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.regularisation import DegeneratePolicy, Regularisation
from gmm_dask.mixture.starts import METHODS
from gmm_dask.mixture.stopping import Stopping

WHOLE_STARTS: Mapping[str, str] = MappingProxyType(
    {"given": "a mixture to begin with (initial=)", "labels": "a label of every row (labels=)"}
)
"""Values of init that draw nothing, and what each needs beside it."""


FORMAT_1 = (
    *("components", "covariance", "init", "n_init", "finalists", "seed", "sample_rows", "tol"),
    *("relative_tol", "parameter_tol", "max_iter", "reg_covar", "relative_floor", "degenerate"),
    *("accelerate", "arithmetic"),
)
"""The fields of `Configuration` in the first format of run folders, where all of them are named."""


class ConfigurationError(Refusal):
    """A setting that makes no sense: says which, and what would."""


@dataclass(frozen=True)
class Configuration:
    """A fit, but for the data: K components of one covariance family, and how to get there.

    Names and defaults are scikit-learn's where it has them. n_init starts are raced on a sample of
    `sample_rows` rows, and the best `finalists` go on to all rows, together.
    """

    components: int
    covariance: str = "full"
    init: str = "kmeans"
    n_init: int = 1
    finalists: int = 2
    seed: int = 0
    sample_rows: int = 20_000
    tol: float | None = 1e-3
    relative_tol: float | None = None
    parameter_tol: float | None = None
    max_iter: int = 100
    reg_covar: float = 1e-6
    relative_floor: float = 1e-20
    degenerate: DegeneratePolicy = "floor"
    accelerate: str | None = "auto"
    arithmetic: Arithmetic = "float64"

    def __post_init__(self) -> None:
        for name in ("components", "n_init", "finalists", "sample_rows"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(f"{name} must be a whole number from 1 up, not {value!r}")
        for name in ("seed", "max_iter"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ConfigurationError(f"{name} must be a whole number from 0 up, not {value!r}")
        if self.init not in (*METHODS, *WHOLE_STARTS):
            raise ConfigurationError(
                f"init must be one of {', '.join(METHODS)}, or a mixture; not {self.init!r}"
            )
        if self.arithmetic not in ("float64", "float32"):
            raise ConfigurationError(
                f"arithmetic must be float64 or float32, not {self.arithmetic!r}"
            )
        try:
            family_named(self.covariance)
            acceleration_named(self.accelerate)
            self.settings()
        except (Refusal, TypeError) as problem:
            raise ConfigurationError(str(problem)) from None

    def settings(self) -> EMSettings:
        """The part that the EM loop needs."""
        return EMSettings(
            Stopping(self.tol, self.relative_tol, self.parameter_tol, self.max_iter),
            Regularisation(self.reg_covar, self.relative_floor, self.degenerate),
            self.accelerate,
            self.arithmetic,
        )

    def check_drawn(self) -> None:
        """Refuse, before any pass, to draw a start where it was to be given."""
        missing = WHOLE_STARTS.get(self.init)
        if missing is not None:
            raise ConfigurationError(
                f"init={self.init!r} needs {missing}; give it, or choose how a start is drawn: "
                f"{', '.join(METHODS)}"
            )

    def check_rows(self, count: int) -> None:
        """Refuse, before any pass, more components than there are rows to begin from."""
        drawn = min(count, self.sample_rows)
        if self.components > drawn:
            raise ConfigurationError(
                f"{self.components} components need as many rows to begin from, and there are "
                f"{drawn}{'' if drawn == count else ' in the sample (sample_rows)'}; ask for fewer"
            )

    def as_dict(self) -> dict[str, Any]:
        """Every field by name, JSON-able."""
        return asdict(self)

    def identity(self) -> dict[str, Any]:
        """What tells this fit from others: a field that is new since the first format is named only
        where it is not at its default, so that runs from before it go on."""
        return identity_of(self, FORMAT_1)


def identity_of(options: Any, first: Collection[str]) -> dict[str, Any]:
    """The fields of the first format, and later ones that are not at their defaults."""
    return {
        one.name: getattr(options, one.name)
        for one in fields(options)
        if one.name in first or getattr(options, one.name) != default_of(one)
    }


def default_of(one: Field[Any]) -> Any:
    """The default of a field of a dataclass; MISSING where it has none."""
    return one.default if one.default_factory is MISSING else one.default_factory()
