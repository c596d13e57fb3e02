"""What is new since the last look, told from metadata alone: no row is read.

A store that was rewritten in the same shape looks as it did; rows that were changed while others
were appended are found out by the first pass of the fit (`changes`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gmm_dask.chunked.rows import DataError, Rows
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.versions import Standing, Version
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.refit import RefitOptions
from gmm_dask.store.sealed import from_json, to_json

News = Literal["nothing", "first", "appended", "settings", "changed"]

MEAN_TOLERANCE, SPREAD_TOLERANCE = 1e-9, 1e-6


class RowsChangedError(DataError):
    """Earlier rows are not what they were when the current model was fitted to them."""


@dataclass(frozen=True)
class Survey:
    """What is new, and what was asked for: equal answers to equal questions."""

    news: News
    asked: dict[str, Any]
    new: Rows | None

    @property
    def new_rows(self) -> int:
        """How many rows no look has seen."""
        return 0 if self.new is None else self.new.shape[0]


def survey(
    rows: Rows, configuration: Configuration, options: RefitOptions, standing: Standing
) -> Survey:
    """Compare what is there with what the last look saw."""
    asked = plain(
        {
            "fingerprint": rows.fingerprint(),
            "configuration": configuration.identity(),
            "margin": options.margin,
            "held_back": options.held_back,
        }
    )
    looked = standing.looked
    if looked is None or standing.current is None:
        return Survey("first", asked, None)
    if asked == looked["asked"]:
        return Survey("nothing", asked, None)
    before = under_policy_of(asked["fingerprint"], looked["asked"]["fingerprint"])
    if asked["fingerprint"] == before:
        return Survey("settings", asked, None)
    if same_but_for_length(before, asked["fingerprint"]):
        return Survey("appended", asked, rows_from(rows, before["rows"][1]))
    if options.changed == "error":
        raise RowsChangedError(changed_advice(rows, before))
    return Survey("changed", asked, rows)


def plain(value: object) -> dict[str, Any]:
    """As it comes back from JSON."""
    values: dict[str, Any] = from_json(to_json(value))
    return values


def under_policy_of(now: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """An earlier fingerprint as it would be told now: rows that were all finite are the same ones
    whether or not those that are not are left out."""
    if (before["nonfinite"], now["nonfinite"]) == ("error", "skip"):
        return {**before, "nonfinite": "skip"}
    return before


def same_but_for_length(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two fingerprints are of one table that has only grown at its end."""
    (first, last), (first_now, last_now) = before["rows"], after["rows"]
    grown = first == first_now and last < last_now
    return grown and _without_length(before) == _without_length(after)


def _without_length(fingerprint: Any) -> Any:
    if isinstance(fingerprint, list):
        return [_without_length(one) for one in fingerprint]
    if not isinstance(fingerprint, dict):
        return fingerprint
    kept = {k: _without_length(v) for k, v in fingerprint.items() if k not in ("rows", "blocks")}
    if isinstance(kept.get("shape"), list):
        kept["shape"] = kept["shape"][1:]
    return kept


def rows_from(rows: Rows, first: int) -> Rows:
    """The rows of these from a global index on."""
    return replace(rows, cuts=(first, *(cut for cut in rows.cuts if cut > first)))


def changed_advice(rows: Rows, before: Mapping[str, Any]) -> str:
    """What is otherwise, and what to do."""
    what, was, now = _first_difference(before, plain(rows.fingerprint()))
    return (
        f"{rows.source.address} is not the table that the current model was fitted to with rows "
        f"appended: its {what} were {was} and are {now}; if that is meant, refit to all of it "
        '(changed="refit", --changed refit)'
    )


def _first_difference(before: Any, now: Any, name: str = "") -> tuple[str, Any, Any]:
    """The most telling one: rows, before what follows from them."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return name, before, now
    names = sorted({*before, *now}, key=lambda one: (one != "rows", one == "blocks"))
    first = next(one for one in names if before.get(one) != now.get(one))
    return _first_difference(before.get(first), now.get(first), f"{name} {first}".strip())


def run_name(asked: Mapping[str, Any], current: str | None) -> str:
    """The run folder for one question: the margin decides after the fit, and is not of it."""
    identity = {name: asked[name] for name in ("fingerprint", "configuration", "held_back")}
    content = to_json({**identity, "current": current})
    return hashlib.sha256(content).hexdigest()[:16]


def check_features(rows: Rows, current: Version | None) -> None:
    """Refuse rows that the current model cannot score."""
    if current is None:
        return
    names = current.model.feature_names or rows.feature_names
    if current.model.mixture.features != rows.shape[1] or names != rows.feature_names:
        raise ConfigurationError(
            f"{current.where} has the features {', '.join(names)}, and {rows.source.address} has "
            f"{', '.join(rows.feature_names)}; give models of other features a folder of their own"
        )


def warm_start(current: Version | None, configuration: Configuration) -> Mixture | None:
    """The current mixture, where the one asked for has as many components of that family, and
    noise where this has some."""
    if current is None:
        return None
    mixture = current.model.mixture
    alike = (mixture.components, mixture.family) == (
        configuration.components,
        configuration.covariance,
    )
    alike = alike and (mixture.noise is None or configuration.noise is not None)
    return mixture if alike else None


def confirm_earlier_rows(
    address: str, before: Mapping[str, Any], new: Mapping[str, Any], whole: Mapping[str, Any]
) -> None:
    """Hold the profile of all rows against those of the earlier ones and the new ones.

    Counts and extremes must agree, means and spreads but for rounding: so most changes of earlier
    rows are found, at no cost, though not one that leaves all of these as they were.
    """
    total = before["weight_total"] + new["weight_total"]
    left, right = before["weight_total"] / total, new["weight_total"] / total
    part = {name: np.asarray(before[name]) for name in ("mean", "sd", "minimum", "maximum")}
    more = {name: np.asarray(new[name]) for name in part}
    step = more["mean"] - part["mean"]
    mean = part["mean"] + right * step
    spread = np.sqrt(left * part["sd"] ** 2 + right * more["sd"] ** 2 + left * right * step**2)
    size = spread + 1e-3 * np.abs(mean)
    agrees = (
        np.array_equal(np.minimum(part["minimum"], more["minimum"]), whole["minimum"])
        and np.array_equal(np.maximum(part["maximum"], more["maximum"]), whole["maximum"])
        and np.isclose(whole["weight_total"], total, rtol=1e-12, atol=0)
        and bool((np.abs(mean - whole["mean"]) <= MEAN_TOLERANCE * size).all())
        and bool((np.abs(spread - whole["sd"]) <= SPREAD_TOLERANCE * size).all())
    )
    if not agrees:
        raise RowsChangedError(
            f"{address}: rows that were there before are not what they were, for moments of the "
            "whole are not those of the earlier rows and the new ones together; if that is meant, "
            'refit to all of it (changed="refit", --changed refit)'
        )
