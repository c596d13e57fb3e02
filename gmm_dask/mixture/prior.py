"""What is asked for of a conjugate prior, in plain values. Imports no NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf

from gmm_dask.mixture.refusals import Refusal

DEFAULT = "default"
"""The word for Fraley and Raftery's prior (2007), mclust's own."""


@dataclass(frozen=True)
class Prior:
    """A conjugate normal–inverse-Wishart prior of means and covariances, for a fit's mode.

    μ_k | Σ_k ~ N(mean of the data, Σ_k / shrinkage), Σ_k ~ IW(dof, scale · var(X) / K^{2/D}); dof
    None is D + 2. Families without correlations have the mean of the variances instead.
    """

    shrinkage: float = 0.01
    dof: float | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.shrinkage < inf:
            raise Refusal(f"a prior's shrinkage must be a number from 0 up, not {self.shrinkage}")
        if self.dof is not None and not 0 < self.dof < inf:
            raise Refusal(f"a prior's dof must be a number above 0, not {self.dof}")
        if not 0 < self.scale < inf:
            raise Refusal(f"a prior's scale must be a number above 0, not {self.scale}")

    @classmethod
    def said(cls, text: str) -> Prior:
        """Of "default", or of what differs from it: "dof=12,scale=0.5"."""
        if text == DEFAULT:
            return cls()
        known, values = [field.name for field in fields(cls)], dict[str, float]()
        for part in text.split(","):
            name, equals, value = (word.strip() for word in part.partition("="))
            if name not in known or not equals or name in values:
                raise Refusal(
                    f"prior {text!r}: write {DEFAULT}, or some of "
                    f"{', '.join(f'{one}=NUMBER' for one in known)} with commas between"
                )
            try:
                values[name] = float(value)
            except ValueError:
                raise Refusal(f"prior {text!r}: {name} must be a number") from None
        return cls(**values)


def prior_text(prior: str | Mapping[str, float] | None) -> str | None:
    """A prior as text, of a table of hyper-parameters too."""
    if prior is None or isinstance(prior, str):
        return prior
    return ",".join(f"{name}={value}" for name, value in prior.items()) or DEFAULT
