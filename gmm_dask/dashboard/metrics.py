"""What Prometheus reads of fits, at the scheduler's own /metrics.

By model and source; as many as a `Book` keeps, so labels do not pile up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from prometheus_client import REGISTRY
from prometheus_client.core import Metric

from gmm_dask.chunked.metrics.definitions import FAMILIES
from gmm_dask.chunked.metrics.meters import Meters, Place, complete
from gmm_dask.dashboard.listener import Listener


class Collector:
    """What was counted on all schedulers of this process, most often on one."""

    def __init__(self) -> None:
        self.listeners: WeakSet[Listener] = WeakSet()

    def collect(self) -> Iterator[Any]:
        """As Prometheus's client asks for it."""
        samples = {place: complete(m.added, m.stands) for place, m in self.together().items()}
        for family in FAMILIES:
            metric = Metric(family.full_name.removesuffix("_total"), family.help, family.kind)
            for (model, source), values in samples.items():
                for (name, label), value in values.items():
                    if family.has(name):
                        last = {family.label: label} if label else {}
                        metric.add_sample(name, {"model": model, "source": source, **last}, value)
            yield metric

    def together(self) -> dict[Place, Meters]:
        """Sums of what was added; of what stands, what was heard last."""
        totals: dict[Place, Meters] = defaultdict(Meters)
        heard = [item for each in self.listeners for item in each.book.meters.items()]
        for place, meters in sorted(heard, key=lambda item: item[1].heard):
            sums = totals[place].added
            for key, value in list(meters.added.items()):
                sums[key] = sums.get(key, 0.0) + value
            totals[place].stands |= meters.stands
        return totals


_COLLECTOR = Collector()
REGISTRY.register(_COLLECTOR)


def expose(listener: Listener) -> None:
    """Add what this one hears to the metrics of its process."""
    _COLLECTOR.listeners.add(listener)
