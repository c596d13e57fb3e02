"""What Prometheus reads of fits, at the scheduler's own /metrics.

One label, the run; the runs are those that `Fits` keeps, so there are never more than a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from gmm_dask.dashboard.fits import FollowedFit, Line
from gmm_dask.dashboard.listener import Listener

Value = Callable[[FollowedFit], float | None]


@dataclass(frozen=True)
class Metric:
    """One family: a name, what it means, and what it is for a fit; None where there is none."""

    name: str
    help: str
    value: Value
    family: Any = GaugeMetricFamily

    def of(self, fits: Iterable[FollowedFit]) -> Any:
        """The family with a sample for every fit that has a value."""
        family = self.family(f"gmm_dask_{self.name}", self.help, labels=["run"])
        for fit in fits:
            value = self.value(fit)
            if value is not None:
                family.add_metric([fit.name], value)
        return family


def last(value: Callable[[Line], float | None]) -> Value:
    """Of a fit's newest iteration."""
    return lambda fit: value(fit.lines[-1]) if fit.lines else None


METRICS = (
    Metric("running", "1 while the fit goes on, 0 after its end", lambda fit: float(fit.running)),
    Metric("iteration", "The newest iteration", last(lambda line: line.iteration)),
    Metric(
        "mean_log_likelihood",
        "Mean log-likelihood of a row in the newest iteration",
        last(lambda line: line.mean_log_likelihood),
    ),
    Metric("change", "What the newest iteration changed that by", last(lambda line: line.change)),
    Metric(
        "rows_per_second", "Rows a second in the newest passes", last(lambda x: x.rows_per_second)
    ),
    Metric(
        "bytes_per_second",
        "Bytes a second in the newest passes, as rows lie in memory",
        last(lambda line: line.bytes_per_second),
    ),
    Metric("components", "Components alive", last(lambda line: line.components)),
    Metric(
        "checkpoint_age_seconds",
        "Seconds since the newest checkpoint was made; absent without checkpoints",
        lambda fit: fit.checkpoint_age,
    ),
    Metric(
        "news_age_seconds", "Seconds since the fit last told anything", lambda fit: fit.news_age
    ),
    Metric(
        "degenerate_components",
        "Components that starved or collapsed",
        lambda fit: fit.degenerate,
        CounterMetricFamily,
    ),
    Metric(
        "pass_retries",
        "Passes that were run again after a fault of the cluster",
        lambda fit: fit.retries,
        CounterMetricFamily,
    ),
)


class Collector:
    """The fits of all schedulers of this process, most often of one."""

    def __init__(self) -> None:
        self.listeners: WeakSet[Listener] = WeakSet()

    def collect(self) -> Iterator[Any]:
        """As Prometheus's client asks for it."""
        newest = sorted(
            (fit for each in self.listeners for fit in each.fits.newest_first()),
            key=lambda fit: fit.begun,
        )
        fits = {fit.name: fit for fit in newest}.values()
        for metric in METRICS:
            yield metric.of(fits)


_COLLECTOR = Collector()
REGISTRY.register(_COLLECTOR)


def expose(listener: Listener) -> None:
    """Add what this one hears to the metrics of its process."""
    _COLLECTOR.listeners.add(listener)
