"""Attributes of scores as the CF conventions describe variables."""

from __future__ import annotations

from typing import Any

from gmm_dask.scoring.densities import SKIPPED

LONG_NAMES = {
    "labels": "most probable component",
    "log_density": "log probability density",
    "probabilities": "probability of each component",
    "top_components": "most probable components",
    "top_probabilities": "probabilities of the most probable components",
    "outlier": "whether the log density is below the threshold",
}


def attributes_of(name: str, components: int) -> dict[str, Any]:
    """What a score is; labels are flags, of which one means masked."""
    told: dict[str, Any] = {"long_name": LONG_NAMES.get(name, name.replace("_", " "))}
    if name == "labels":
        told["flag_values"] = [SKIPPED, *range(components)]
        told["flag_meanings"] = " ".join(["masked", *(f"component_{k}" for k in range(components))])
    return told
