"""Attributes of scores as the CF conventions describe variables."""

from __future__ import annotations

from typing import Any

from gmm_dask.scoring.densities import SKIPPED, Scored

LONG_NAMES = {
    "labels": "most probable component",
    "log_density": "log probability density",
    "probabilities": "probability of each component",
    "top_components": "most probable components",
    "top_probabilities": "probabilities of the most probable components",
    "outlier": "whether the log density is below the threshold",
}


def attributes_of(name: str, mixture: Scored) -> dict[str, Any]:
    """What a score is; labels are flags, of which one means masked, and noise where there is."""
    told: dict[str, Any] = {"long_name": LONG_NAMES.get(name, name.replace("_", " "))}
    if name == "labels":
        numbers = range(mixture.components)
        masked = "masked" if mixture.noise is None else "noise_or_masked"
        told["flag_values"] = [SKIPPED, *numbers]
        told["flag_meanings"] = " ".join([masked, *(f"component_{k}" for k in numbers)])
    return told
