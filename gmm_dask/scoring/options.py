"""What to write of each row when rows are scored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from gmm_dask.settings.configuration import ConfigurationError

Written: TypeAlias = Literal["labels", "probabilities", "log_density"]
WRITABLE: tuple[Written, ...] = ("labels", "probabilities", "log_density")


@dataclass(frozen=True)
class ScoreOptions:
    """What to write of each row."""

    write: tuple[Written, ...] = ("labels", "log_density")
    top: int | None = None
    quantile: float | None = None
    threshold: float | None = None
    dtype: Literal["float64", "float32"] = "float64"

    def check(self, components: int) -> None:
        """Raise ConfigurationError, in one sentence, for what cannot be meant."""
        unknown = [name for name in self.write if name not in WRITABLE]
        if unknown:
            known = ", ".join(WRITABLE)
            raise ConfigurationError(f"write={unknown[0]!r} is not known; choose of {known}")
        if not self.names:
            raise ConfigurationError("nothing is to be written: name at least one of write=")
        if self.top is not None and not 1 <= self.top <= components:
            raise ConfigurationError(
                f"top={self.top} must lie between 1 and {components} components"
            )
        if self.quantile is not None and self.threshold is not None:
            raise ConfigurationError(
                "outliers lie below a quantile or a threshold: pass one of the two"
            )
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise ConfigurationError(f"quantile={self.quantile} must lie between 0 and 1")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ConfigurationError(f"threshold={self.threshold} must be a finite log density")
        if self.dtype not in ("float64", "float32"):
            raise ConfigurationError(f"dtype={self.dtype!r} must be float64 or float32")

    def row_bytes(self, components: int) -> int:
        """Of the widest array."""
        width = self.top or (components if "probabilities" in self.write else 1)
        return max(8, width * np.dtype(self.dtype).itemsize)

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays of the first pass; a quantile is one of the log densities, as written."""
        chosen = {"labels", "probabilities", "log_density"} & {*self.write}
        if self.top is not None:
            chosen = (chosen - {"probabilities"}) | {"top_components", "top_probabilities"}
        if self.quantile is not None:
            chosen |= {"log_density"}
        if self.threshold is not None:
            chosen |= {"outlier"}
        return tuple(sorted(chosen))
