"""Covariance families by their scikit-learn names; each lives in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.registry import Registry

if TYPE_CHECKING:
    from gmm_dask.mixture.covariance.family import Family
    from gmm_dask.mixture.covariance.layouts import Layout

FAMILIES: Registry[Family] = Registry(
    "covariance family",
    {
        "full": "gmm_dask.mixture.covariance.full:FULL",
        "tied": "gmm_dask.mixture.covariance.tied:TIED",
        "diag": "gmm_dask.mixture.covariance.diag:DIAG",
        "spherical": "gmm_dask.mixture.covariance.spherical:SPHERICAL",
    },
)


def family_names() -> tuple[str, ...]:
    """All that can be asked for, those that were registered last."""
    return tuple(FAMILIES)


def family_named(name: str) -> Family:
    """The family of this name, or a sentence that lists the names there are."""
    return FAMILIES.named(name)


def layout_named(name: str) -> Layout:
    """The layout of scatter of this name, of whichever family."""
    for family in FAMILIES.values():
        if family.layout.name == name:
            return family.layout
    raise Refusal(f"no covariance family lays its scatter out as {name!r}")


def register(name: str, family: Family | str) -> None:
    """Add a family of one's own, as it is or by its place, "module:attribute"."""
    FAMILIES.register(name, family)
