"""From what fits tell to what is counted: by model and source, however many runs there were.

Knows the events of `gmm_dask.fitting.events`; does not know who reads the numbers.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from gmm_dask.chunked.metrics.definitions import (
    BUCKETS,
    CANCELLED,
    FIT,
    LOST,
    PREFIX,
    REFIT,
    MetricFamily,
)

Key: TypeAlias = tuple[str, str]
"""A sample's name, and its outcome or bound where it has one."""
Place: TypeAlias = tuple[str, str]
"""A model and a source."""

MOST_MODELS = 500
INFINITE = "+Inf"
GONE = "driver gone"
ENDS = {"interrupted": CANCELLED, GONE: LOST}
"""Outcomes that are counted by another word than they are told by."""
TOLD_BY_ITERATION = ("iteration", "mean_log_likelihood", "change", "components")


def zeros(families: Iterable[MetricFamily]) -> dict[Key, float]:
    """What is told before anything was: an increase is seen only from a value that was there."""
    samples: dict[Key, float] = {}
    for family in families:
        if family.kind == "counter" or family.outcomes:
            samples |= {(family.full_name, outcome): 0.0 for outcome in family.outcomes or ("",)}
        elif family.kind == "histogram":
            bounds = (*map(str, BUCKETS), INFINITE)
            samples |= {(f"{family.full_name}_bucket", bound): 0.0 for bound in bounds}
            samples |= {(f"{family.full_name}_{end}", ""): 0.0 for end in ("sum", "count")}
    return samples


def complete(added: Mapping[Key, float], stands: Mapping[Key, float | None]) -> dict[Key, float]:
    """All samples: zero where nothing was counted yet."""
    there = {key: value for key, value in stands.items() if value is not None}
    names = {name for name, _ in there}
    start = zeros(FIT) if f"{PREFIX}begun_timestamp_seconds" in names else {}
    start |= zeros(REFIT) if f"{PREFIX}refit_timestamp_seconds" in names else {}
    return {**start, **added, **there}


class Meters:
    """Of one model and one source: what is added up, and what stands; None is what is gone."""

    def __init__(self) -> None:
        self.added: dict[Key, float] = {}
        self.stands: dict[Key, float | None] = {}
        self.heard = 0.0

    @property
    def running(self) -> bool:
        """Whether more is to come, for all that is known."""
        return bool(self.stands.get((f"{PREFIX}running", "")))

    def hear(self, event: Mapping[str, Any]) -> None:
        """One event."""
        self.heard = time.time()
        hear = {
            "begin": self._begin,
            "pass": self._pass,
            "iteration": self._iterate,
            "end": self._end,
            "refit": self._refit,
        }.get(event["event"])
        if hear is not None:
            hear(event)

    def _begin(self, event: Mapping[str, Any]) -> None:
        self.stands |= {
            (family.full_name, ""): None  # those of the fit before are gone
            for family in FIT
            if family.kind == "gauge" and not family.outcomes
        }
        self._stand("begun_timestamp_seconds", self.heard)
        self._news()
        if event["past"]:
            self._line(event["past"][-1])

    def _pass(self, event: Mapping[str, Any]) -> None:
        seconds = float(event["seconds"])
        for bound in BUCKETS:
            self._add("pass_seconds_bucket", seconds <= bound, str(bound))
        self._add("pass_seconds_bucket", 1, INFINITE)
        self._add("pass_seconds_count", 1)
        self._add("pass_seconds_sum", seconds)
        self._add("pass_retries_total", event["attempts"] - 1)
        self._add("rows_total", event["rows"])
        self._add("bytes_total", event["bytes"])
        self._news()

    def _iterate(self, event: Mapping[str, Any]) -> None:
        self._line(event)
        self._add("iterations_total", 1)
        self._add("degenerate_components_total", event["degenerate"])
        age = event["checkpoint_age"]
        if age is not None:
            self._stand("checkpoint_timestamp_seconds", self.heard - float(age))
        self._news()

    def _end(self, event: Mapping[str, Any]) -> None:
        outcome = ENDS.get(event["outcome"], event["outcome"])
        self._add("fits_total", 1, outcome)
        self._stand("ended_timestamp_seconds", self.heard, outcome)
        self._stand("running", 0.0)

    def _refit(self, event: Mapping[str, Any]) -> None:
        self._add("refits_total", 1, event["outcome"])
        self._stand("refit_timestamp_seconds", self.heard, event["outcome"])
        if event["alarms"] is not None:
            self._stand("drift_alarms", float(event["alarms"]))

    def _line(self, event: Mapping[str, Any]) -> None:
        for name in TOLD_BY_ITERATION:
            value = event[name]
            self._stand(name, None if value is None else float(value))

    def _news(self) -> None:
        self._stand("running", 1.0)
        self._stand("news_timestamp_seconds", self.heard)

    def _add(self, name: str, value: float, label: str = "") -> None:
        key = PREFIX + name, label
        self.added[key] = self.added.get(key, 0.0) + value

    def _stand(self, name: str, value: float | None, label: str = "") -> None:
        self.stands[PREFIX + name, label] = value


class Book:
    """The meters of every model that was heard of; of very many, those heard of last."""

    def __init__(self) -> None:
        self.meters: OrderedDict[Place, Meters] = OrderedDict()
        self._places: OrderedDict[str, Place] = OrderedDict()

    def hear(self, event: Mapping[str, Any]) -> Place | None:
        """Count an event; returns whose it is, None of a run that nobody told the beginning of."""
        run = event["run"]
        if event["event"] in ("begin", "refit"):
            self._places[run] = str(event["model"]), str(event["source"])
        place = self._places.get(run)
        if place is None:
            return None
        meters = self.meters.setdefault(place, Meters())
        self.meters.move_to_end(place)
        meters.hear(event)
        self._forget()
        return place

    def _forget(self) -> None:
        while len(self._places) > MOST_MODELS:
            self._places.popitem(last=False)
        while len(self.meters) > MOST_MODELS:
            del self.meters[min(self.meters, key=lambda one: self.meters[one].running)]
