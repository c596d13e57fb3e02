"""Rows 6 and 11: workers killed at every moment of a fit, and clusters of every shape."""

import time
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from statistics import median
from typing import Any

from distributed import Client

from gmm_dask.chunked.rows import Rows, Values, open_rows
from gmm_dask.chunked.sources.zarr_source import ZarrSource
from gmm_dask.fitting.run_loop import Progress
from tests.faults.cluster import (
    FAULTS,
    Schedule,
    Striker,
    cluster_of,
    scaled,
    striking,
    watching,
    whole,
)
from tests.faults.fits import BLOCK_BYTES, SWEEPS, digest, fitted, recovery
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import WORKERS, Ground, ground, ground_and_cluster

BARS: dict[Scale, float] = {"full": 10.0, "small": 60.0}
"""Seconds to recover in, beyond one iteration; `make test` may share its machine."""


# -- row 6 --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """When so many tasks of this kind have ended in this sweep (None: while rows are loaded)."""

    kind: str
    sweep: int | None
    after: int
    fault: str = "one killed"


@dataclass
class Killer(Striker):
    """Strikes while rows are loaded, in sweeps and in merges."""

    moments: tuple[Moment, ...] = ()
    killed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.counts: Counter[tuple[str, int | None]] = Counter()
        self.done: list[Moment] = []

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        if not isinstance(key, tuple):
            return
        kind, _, rest = key[0].partition("-")
        # A merge is struck as it begins: there may be one alone in a pass.
        wanted = ("waiting", "processing") if kind == "merge" else ("processing", "memory")
        if (start, finish) != wanted:
            return
        sweep = int(rest.rpartition("-it")[2].partition("-")[0]) if "-it" in rest else None
        self.counts[kind, sweep] += 1
        for moment in self.moments:
            here = (moment.kind, moment.sweep) == (kind, sweep) and moment not in self.done
            if here and self.counts[kind, sweep] >= moment.after:
                self.done.append(moment)
                self.strike(moment.fault)

    def victims(self, count: int) -> list[Any]:
        chosen = super().victims(count)
        self.killed += len(chosen)
        return chosen

    def strike(self, fault: str) -> None:
        try:
            FAULTS[fault](self)
        except Exception as problem:  # else it would be a line in the scheduler's log
            self.problems.append(problem)


def moments_of(draw: Random, cached: bool) -> tuple[Moment, ...]:
    """One in each place, in different sweeps."""
    sweep, merge, every = sorted(draw.sample(range(2, SWEEPS - 1), 3))
    return (
        Moment("load", None, draw.randint(1, 6)) if cached else Moment("sweep", 0, 2),
        Moment("sweep", sweep, draw.randint(1, 6)),
        Moment("merge", merge, 1),
        Moment("sweep", every, draw.randint(1, 6), "all killed"),
    )


def killed(scale: Scale, seed: int) -> Outcome:
    """Fits whose workers are killed five times each, seven kills in all."""
    fits = 24 if scale == "full" else 1
    outcome, draw, kills = Outcome(), Random(seed), 0
    waits: list[float] = []
    with ground_and_cluster() as (made, client):
        for number in range(fits):
            cached = number % 2 == 0
            whole(client, WORKERS)
            moments = moments_of(draw, cached)
            between = draw.choice(
                [i for i in range(1, SWEEPS - 2) if i + 1 not in _sweeps(moments)]
            )
            killer = Killer(client.cluster, Schedule(draw.randrange(2**31), ()), moments=moments)
            with outcome.trying(f"fit {number}: {moments}, between {between}", cases=0):
                found = _killed_fit(made, client, killer, between, cached)
                outcome.survived += killer.killed
                for sweep in {*_sweeps(moments), between + 1, 0}:
                    waits.append(max(0.0, recovery(found, sweep)))
                    where = f"fit {number}, pass {sweep}"
                    outcome.recovered(waits[-1], bar=BARS[scale], after=where)
                assert digest(found) == made.undisturbed, "other bits"
            kills += killer.killed
    outcome.figures["worker kills"] = f"{kills} over {fits} fits"
    outcome.figures["median recovery"] = f"{median(waits):.1f} s" if waits else "none"
    return outcome


def _sweeps(moments: tuple[Moment, ...]) -> set[int]:
    return {moment.sweep for moment in moments if moment.sweep is not None}


def _killed_fit(made: Ground, client: Client, killer: Killer, between: int, cached: bool) -> Any:
    async def strike() -> None:
        killer.strike("one killed")

    def tell(progress: Progress) -> None:
        if progress.state.iteration == between:
            client.cluster.sync(strike)

    with watching(client, killer):
        found = fitted(
            made.stored, client=client, cache="memory" if cached else "none", callbacks=[tell]
        )
    assert not killer.problems, killer.problems
    assert len(killer.done) == len(killer.moments), f"struck only {killer.done}"
    return found


# -- row 11 -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dawdling(ZarrSource):
    """Reads that take a while, of another length each time: tasks end in another order."""

    longest: float = 0.02

    def read(self, first: int, last: int) -> Values:
        time.sleep(Random().uniform(0, self.longest))
        return super().read(first, last)


def dawdling(stored: str, longest: float = 0.02) -> Rows:
    """The same rows; reading a block takes up to so many seconds more."""
    rows = open_rows(stored, block_bytes=BLOCK_BYTES)
    assert isinstance(rows.source, ZarrSource)
    own = {name: getattr(rows.source, name) for name in _fields(rows.source)}
    slow = Dawdling(**own, longest=longest)
    return replace(rows, source=slow)


def _fields(source: ZarrSource) -> tuple[str, ...]:
    return tuple(source.__dataclass_fields__)


def whatever_cluster(scale: Scale, seed: int) -> Outcome:
    """This process, then 8, 3, 2 and 1 workers of one and of two threads, then coming and going."""
    outcome = Outcome()
    caches: tuple[Any, ...] = ("memory", "none")
    with ground() as made:
        for cache in caches:
            with outcome.trying(f"this process, {cache}"):
                assert digest(fitted(made.stored, cache=cache)) == made.undisturbed
        for threads in (1, 2) if scale == "full" else (1,):
            with cluster_of(8, threads) as client:
                for workers in (8, 3, 2, 1):
                    scaled(client, workers)
                    _one_digest(outcome, made, client, f"{workers} x {threads}")
        _coming_and_going(outcome, made, seed, 10 if scale == "full" else 1)
    return outcome


def _one_digest(outcome: Outcome, made: Ground, client: Client, what: str) -> None:
    for cache in ("memory", "none"):
        for shuffled in (False, True):
            name = f"{what}, {cache}{', shuffled' if shuffled else ''}"
            with outcome.trying(name):
                rows = dawdling(made.stored) if shuffled else made.stored
                found = fitted(rows, client=client, cache=cache)
                assert digest(found) == made.undisturbed, "another digest"


def _coming_and_going(outcome: Outcome, made: Ground, seed: int, times: int) -> None:
    """In every fit three leave or come in the middle of sweeps."""
    draw = Random(seed)
    with cluster_of(WORKERS) as client:
        for turn in range(times):
            faults = draw.choice(
                [("one comes", "one leaves", "one leaves"), ("one leaves", "one comes")]
            )
            schedule = Schedule.drawn(seed + turn, faults, sweeps=SWEEPS, tasks=12)
            with outcome.trying(schedule):
                scaled(client, WORKERS)
                with striking(client, schedule):
                    cache: Any = draw.choice(["memory", "none"])
                    found = fitted(made.stored, client=client, cache=cache)
                assert digest(found) == made.undisturbed, "another digest"
