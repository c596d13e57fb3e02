"""Covariance families by scikit-learn's and mclust's names; each lives in a file of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from types import MappingProxyType
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
        **{
            name: f"gmm_dask.mixture.covariance.{name.lower()}:{name}"
            for name in ("EII", "EEI", "VEI", "EVI", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV")
        },
    },
)
MCLUSTS: Mapping[str, str] = MappingProxyType(
    {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}
)
"""mclust's names of what scikit-learn has names for, too."""
ALL = "all"
"""The word for every family, where several are asked for."""


def family_names() -> tuple[str, ...]:
    """All that can be asked for, those that were registered last."""
    return (*FAMILIES, *MCLUSTS)


def families_named(names: Iterable[str]) -> tuple[str, ...]:
    """Families by one name each, once each, in this order; "all" of them where that is said."""
    each = (tuple(FAMILIES) if name == ALL else (MCLUSTS.get(name, name),) for name in names)
    return tuple(dict.fromkeys(chain.from_iterable(each)))


def family_named(name: str) -> Family:
    """The family of this name, or a sentence that lists the names there are."""
    return FAMILIES.named(MCLUSTS.get(name, name))


def layout_named(name: str) -> Layout:
    """The layout of scatter of this name, of whichever family."""
    for family in FAMILIES.values():
        if family.layout.name == name:
            return family.layout
    raise Refusal(f"no covariance family lays its scatter out as {name!r}")


def register(name: str, family: Family | str) -> None:
    """Add a family of one's own, as it is or by its place, "module:attribute"."""
    FAMILIES.register(name, family)
