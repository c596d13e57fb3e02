"""One pass over a block of rows for many mixtures at once: responsibilities, then statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from gmm_dask.mixture.arrays import Array, Rows, as_rows, as_weights
from gmm_dask.mixture.covariance.layouts import OUTER, Layout
from gmm_dask.mixture.kernels import Arithmetic, Kernel
from gmm_dask.mixture.kernels.centred import CentredKernel, statistics_of_responsibilities
from gmm_dask.mixture.kernels.choice import choose_kernels, require_float32
from gmm_dask.mixture.kernels.frame import Frame
from gmm_dask.mixture.kernels.fused import FusedKernel
from gmm_dask.mixture.kernels.quadratic import QuadraticKernel
from gmm_dask.mixture.noise import NOISE
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.statistics import SufficientStatistics

Statistics: TypeAlias = tuple[SufficientStatistics, ...]
StatisticsOf: TypeAlias = Callable[[tuple[Mixture, ...], tuple[Kernel, ...]], Statistics]
"""The single seam: all that the EM loop knows of the data. One call is one pass over all rows."""


class Accumulator(Protocol):
    """A kernel at work: takes a few thousand rows at a time, keeps their statistics."""

    step: int

    def add(self, rows: Rows, weights: Array | None) -> bool: ...

    def statistics(self) -> list[SufficientStatistics]: ...


def sweep(
    block: ArrayLike,
    mixtures: Sequence[Mixture],
    weights: ArrayLike | None = None,
    kernels: Sequence[Kernel] | None = None,
) -> Statistics:
    """The statistics of a block of rows (N, D) under each of the mixtures.

    Rows may be of any real dtype and are never written to; temporaries take a few MB whatever N.
    """
    if not mixtures:
        return ()
    rows = as_rows(block, mixtures[0].features)
    row_weights = as_weights(weights, len(rows))
    kernels = choose_kernels(mixtures) if kernels is None else kernels
    if len(kernels) != len(mixtures):
        raise ValueError(f"{len(mixtures)} mixtures need as many kernels, not {len(kernels)}")
    if "quadratic-float32" in kernels:
        require_float32(mixtures)
    statistics: dict[int, SufficientStatistics] = {}
    frame = Frame.of(mixtures)
    for members, accumulator in _accumulators(mixtures, kernels, frame):
        summed = _pass(accumulator, [mixtures[i] for i in members], rows, row_weights)
        statistics.update(zip(members, summed, strict=True))
    return tuple(statistics[i] for i in range(len(mixtures)))


def _accumulators(
    mixtures: Sequence[Mixture], kernels: Sequence[Kernel], frame: Frame
) -> Iterator[tuple[list[int], Accumulator]]:
    """Mixtures that share features and products, and the kernel that sums for all of them."""
    groups: dict[tuple[Kernel, bool], list[int]] = {}
    for i, (mixture, kernel) in enumerate(zip(mixtures, kernels, strict=True)):
        if kernel == "centred":
            yield [i], CentredKernel(mixture)
        else:
            groups.setdefault((kernel, mixture.diagonal), []).append(i)
    for (kernel, _), members in groups.items():
        together = [mixtures[i] for i in members]
        if kernel == "fused":
            yield members, FusedKernel(together, frame)
        else:
            arithmetic: Arithmetic = "float32" if kernel == "quadratic-float32" else "float64"
            yield members, QuadraticKernel(together, frame, arithmetic)


def _pass(
    accumulator: Accumulator, mixtures: Sequence[Mixture], rows: Rows, weights: Array | None
) -> list[SufficientStatistics]:
    extreme: list[CentredKernel] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(rows), accumulator.step):
            part = slice(start, start + accumulator.step)
            some = None if weights is None else weights[part]
            if accumulator.add(rows[part], some):
                continue
            # rows so far out that their squares overflow: the centred kernel takes them
            extreme = extreme or [CentredKernel(mixture) for mixture in mixtures]
            for kernel in extreme:
                _add_extreme(kernel, rows[part], some, start)
    sums = accumulator.statistics()
    return [a + b.sum for a, b in zip(sums, extreme, strict=True)] if extreme else sums


def _add_extreme(kernel: CentredKernel, rows: Rows, weights: Array | None, start: int) -> None:
    for at in range(0, len(rows), kernel.step):
        part = slice(at, at + kernel.step)
        if not kernel.add(rows[part], None if weights is None else weights[part]):
            bad = ~np.isfinite(np.asarray(rows[part], dtype=np.float64)).all(axis=1)
            row = start + at + int(np.argmax(bad))
            raise Refusal(f"row {row} of the block is not finite; {bad.sum()} such rows there")


def sweep_labels(
    block: ArrayLike,
    labels: ArrayLike,
    components: int,
    layout: Layout = OUTER,
    weights: ArrayLike | None = None,
    *,
    noise: bool = False,
) -> SufficientStatistics:
    """The statistics of rows whose components are known: responsibilities of 0 and 1; of none for
    rows of noise, which have the label −1."""
    assigned, least = np.asarray(labels), NOISE if noise else 0
    if assigned.dtype.kind not in "iu" or ((assigned < least) | (assigned >= components)).any():
        raise Refusal(f"labels must be whole numbers from {least} to {components - 1}")
    members = np.eye(components + 1, components)  # what −1 stands for is the last
    return sweep_responsibilities(
        block, lambda part: members[assigned[part]], components, layout, weights
    )


def sweep_responsibilities(
    block: ArrayLike,
    responsibilities: Callable[[slice], Array],
    components: int,
    layout: Layout = OUTER,
    weights: ArrayLike | None = None,
) -> SufficientStatistics:
    """The statistics of rows under given responsibilities, asked for (B, K) at a time."""
    rows = as_rows(block)
    row_weights = as_weights(weights, len(rows))
    total = SufficientStatistics.zero(components, rows.shape[1], layout)
    step = max(64, 2**18 // (rows.shape[1] + components))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        some = None if row_weights is None else row_weights[part]
        posteriors = np.ascontiguousarray(responsibilities(part).T)
        if some is not None:
            posteriors = posteriors * some
        total += statistics_of_responsibilities(
            np.asarray(rows[part], dtype=np.float64), posteriors, layout, some
        )
    return total
