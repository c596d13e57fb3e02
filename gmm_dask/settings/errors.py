"""What is refused of settings."""

from __future__ import annotations

from gmm_dask.mixture.refusals import Refusal


class ConfigurationError(Refusal):
    """A setting that makes no sense: says which, and what would."""
