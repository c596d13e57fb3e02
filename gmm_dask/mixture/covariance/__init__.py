"""Covariance families by their scikit-learn names; each lives in a file of its own."""

from collections.abc import Mapping
from types import MappingProxyType

from gmm_dask.mixture.arrays import FamilyName
from gmm_dask.mixture.covariance.diag import Diag
from gmm_dask.mixture.covariance.family import Family
from gmm_dask.mixture.covariance.full import Full
from gmm_dask.mixture.covariance.spherical import Spherical
from gmm_dask.mixture.covariance.tied import Tied
from gmm_dask.mixture.refusals import Refusal

__all__ = ["FAMILIES", "Family", "family_named"]

FAMILIES: Mapping[FamilyName, Family] = MappingProxyType(
    {"full": Full(), "tied": Tied(), "diag": Diag(), "spherical": Spherical()}
)


def family_named(name: str) -> Family:
    """The family of this name, or a sentence that lists the names there are."""
    for known, family in FAMILIES.items():
        if name == known:
            return family
    raise Refusal(f"unknown covariance family {name!r}: choose one of {', '.join(FAMILIES)}")
