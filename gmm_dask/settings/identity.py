"""What tells one request from another, in a way that outlives new options."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from gmm_dask.settings.declaration import default_of


def identity_of(section: Any, first: Collection[str]) -> dict[str, Any]:
    """The fields of the first format, all of them, and later ones that are not at their defaults:
    so what was begun before a field was there goes on."""
    return {
        one.name: getattr(section, one.name)
        for one in fields(section)
        if one.name in first or getattr(section, one.name) != default_of(one)
    }
