"""Stores, models and scores as Prefect's assets: what was made of what, and what is known of it.

Knows names of assets; knows nothing of pages, nor of how anything is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prefect.assets import Asset, materialize
from prefect.assets.core import AssetProperties

from flows.jobs import last_part
from flows.retries import LASTING
from gmm_dask.models.model import holder_of

LONGEST = 512
"""Of the keys that Prefect takes."""


def asset(place: str, description: str | None = None) -> Asset:
    """What lies at a path or URL; a model is known by the folder of its run, or of its versions."""
    place = holder_of(place)
    properties: dict[str, Any] = {} if description is None else {"description": description}
    return Asset(key=key_of(place), properties=AssetProperties(name=last_part(place), **properties))


def key_of(place: str) -> str:
    """A place as a key: one for all who read or write it."""
    if "://" not in place:
        place = f"file://{Path(place).expanduser().resolve()}"
    scheme, _, rest = place.partition("://")
    # As in addresses, but with = in the place of %, which Prefect does not take.
    quoted = quote(rest, safe="/:@!$()*+,;~").replace("%", "=")
    return f"{scheme.lower()}://{quoted}"[:LONGEST]


def made(
    work: Callable[..., Any], what: Asset, of: Sequence[Asset], **facts: Any
) -> Callable[..., Any]:
    """Work as a task that makes an asset of others, with facts about it."""

    @wraps(work)
    def noted(*arguments: Any) -> Any:
        result = work(*arguments)
        what.add_metadata(facts)
        return result

    return materialize(what, by="gmm-dask", asset_deps=list(of), **LASTING)(noted)
