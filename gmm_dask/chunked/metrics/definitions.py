"""What is measured of fits: names as Prometheus wants them, with their kinds and what they mean.

Moments are Unix time, so that an age is made where it is asked for and grows while nobody tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

PREFIX = "gmm_dask_"
FINISHED, FAILED, CANCELLED, LOST = "finished", "failed", "cancelled", "lost"
OUTCOMES = (FINISHED, FAILED, CANCELLED, LOST)
DECISIONS = ("promoted", "kept", "nothing new", FAILED)
ENDINGS = ("_bucket", "_sum", "_count")
BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@dataclass(frozen=True)
class MetricFamily:
    """One name; its samples have the labels model and source, and of outcomes one more."""

    name: str
    kind: Kind
    help: str
    outcomes: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As it is told; samples of a histogram have endings as well."""
        return PREFIX + self.name

    @property
    def label(self) -> str:
        """The label that its samples have beside those of all."""
        return "le" if self.kind == "histogram" else "outcome"

    def has(self, sample: str) -> bool:
        """Whether a sample of this name is one of its."""
        endings = ENDINGS if self.kind == "histogram" else ("",)
        return any(sample == self.full_name + ending for ending in endings)


FIT: tuple[MetricFamily, ...] = (
    MetricFamily("running", "gauge", "1 while a fit goes on, 0 after its end"),
    MetricFamily("begun_timestamp_seconds", "gauge", "When the newest fit began, or went on"),
    MetricFamily("news_timestamp_seconds", "gauge", "When the newest fit last told anything"),
    MetricFamily(
        "checkpoint_timestamp_seconds",
        "gauge",
        "When its newest checkpoint was made; absent without checkpoints",
    ),
    MetricFamily("iteration", "gauge", "Its newest iteration"),
    MetricFamily("mean_log_likelihood", "gauge", "Mean log-likelihood of a row in that iteration"),
    MetricFamily("change", "gauge", "What that iteration changed it by"),
    MetricFamily("components", "gauge", "Components alive"),
    MetricFamily("ended_timestamp_seconds", "gauge", "When a fit last ended so", OUTCOMES),
    MetricFamily("fits_total", "counter", "Fits that ended, by how", OUTCOMES),
    MetricFamily("iterations_total", "counter", "Iterations done"),
    MetricFamily("pass_seconds", "histogram", "Seconds of a pass over all rows"),
    MetricFamily("rows_total", "counter", "Rows passed over"),
    MetricFamily("bytes_total", "counter", "Bytes passed over, as rows lie in memory"),
    MetricFamily("degenerate_components_total", "counter", "Components that starved or collapsed"),
    MetricFamily("pass_retries_total", "counter", "Passes run again after a fault of the cluster"),
)
REFIT: tuple[MetricFamily, ...] = (
    MetricFamily("refits_total", "counter", "Refits, by what they decided", DECISIONS),
    MetricFamily("refit_timestamp_seconds", "gauge", "When a refit last ended so", DECISIONS),
    MetricFamily("drift_alarms", "gauge", "Alarms of drift in the newest rows looked at"),
)
FAMILIES = (*FIT, *REFIT)
