"""Passes on a Dask cluster: few tasks, each over a run of blocks, added up in a tree.

Every key is a task that can be computed again: rows are loaded by tasks (never scattered) and
the pass's value is a task too, so a lost worker costs its own share and nothing else.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import cached_property
from itertools import count, groupby, repeat
from operator import add, itemgetter
from typing import Any, Literal, TypeAlias, TypeVar

import dask
from distributed import Client, Future

from gmm_dask.chunked.borrowed.distributed import hurry, keep_few
from gmm_dask.chunked.engines import tasks
from gmm_dask.chunked.engines.demand import Ahead
from gmm_dask.chunked.engines.faults import (
    BlocksKilledWorkers,
    ClusterError,
    kills_workers,
    passes_over,
)
from gmm_dask.chunked.engines.keys import Labels
from gmm_dask.chunked.engines.protocol import MapFunction, MapReduce, PassReport
from gmm_dask.chunked.engines.shares import Dealt, deal, least_seconds, tasks_for
from gmm_dask.chunked.engines.workers import (
    HEARD_WITHIN,
    asked,
    executing,
    fits_in_memory,
    patience,
)
from gmm_dask.chunked.rows import Rows
from gmm_dask.chunked.sources.memory_source import MemorySource
from gmm_dask.chunked.tree import runs, shares
from gmm_dask.mixture.kernels.compilation import compiling_told_to

T = TypeVar("T")
V = TypeVar("V")
Parameters: TypeAlias = tasks.Packed[Any] | Future

TOPIC = "gmm-dask"
MERGE_AT_ONCE = 16
POLL_SECONDS = 2.0
WITHIN_TASKS = 2**20
"""Bytes of parameters that go out within the tasks of a pass, of which short passes have few. More
than these are a task of their own, which each worker fetches once, and all tasks wait for."""

logger = logging.getLogger(__name__)


class DaskEngine:
    """Passes over `rows` on the cluster of `client`; bits as those of the serial engine."""

    def __init__(
        self,
        client: Client,
        rows: Rows,
        *,
        cache: Literal["auto", "memory", "none"] = "auto",
        memory_share: float = 0.5,
        tasks_per_thread: int | None = None,
        attempts: int = 4,
        no_workers_timeout: float | None = None,
        run: str | None = None,
        on_pass: Callable[[PassReport], None] | None = None,
        on_tell: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.client = client
        self.rows = rows
        self.run = run or secrets.token_hex(4)
        self._tasks_per_thread = tasks_per_thread
        self._attempts = attempts
        self._patience = patience() if no_workers_timeout is None else no_workers_timeout
        self._on_pass, self._on_tell = on_pass, on_tell
        self._label = Labels(self.run)
        self._shares: list[tuple[int, int]] = []
        self._cut_for = self._present = 0
        self._dealt: list[Dealt] = []
        self._seconds: dict[str, float] = {}
        self._loads: list[Future] = []
        self._suspects: list[tuple[int, int]] = []
        self._known: set[str] = set()
        self._alive = time.monotonic()
        self._ahead = Ahead(self._submit_each, lambda: self._label("to-come", None))
        if cache == "auto" and not isinstance(rows.source, MemorySource):
            self._threads()  # what fits is a matter of workers: of the first ones at least
        self.cached = cache == "memory" or (
            cache == "auto" and fits_in_memory(client, rows, memory_share)
        )
        keep_few(client, HEARD_WITHIN)
        self._hurry = ExitStack()
        self._hurry.callback(hurry(client))
        self._hurry.enter_context(compiling_told_to(self._tell_of_compiling))

    def map_reduce(
        self,
        function: MapFunction[V, T],
        value: V,
        *,
        name: str = "sweep",
        step: int | None = None,
        combine: Callable[[T, T], T] = add,
        every_row: bool = False,
        verify: bool = False,
    ) -> T:
        started = time.perf_counter()
        work = MapReduce(function, combine, self.rows.nonfinite == "skip" and not every_row)
        self._alive = time.monotonic()
        attempt, killed = 1, 0
        # Where something went wrong, small tasks: fewer blocks to suspect.
        each = tasks_for(self._seconds.get(name), self.cached)
        while True:
            try:
                began = time.perf_counter()
                result: T = self._attempt(work, value, name, step, verify, each)
                threads = self._threads_for(time.perf_counter() - began)
                break
            except Exception as problem:
                killed += kills_workers(problem)
                self._give_up(problem, attempt, killed)
            attempt, each = attempt + 1, None
        self._seconds[name] = time.perf_counter() - started
        with suppress(Exception):  # the next pass is told if the cluster is gone
            self._ahead.show(threads)
        self._report(name, step, time.perf_counter() - started, attempt)
        return result

    def tell(self, event: str, **facts: object) -> None:
        """A structured event for whoever subscribes to the topic `gmm-dask`."""
        told = {"event": event, "run": self.run, "client": self.client.id, **facts}
        if self._on_tell is not None:
            self._on_tell(told)
        # an event is no reason to lose a pass
        with suppress(OSError, ClusterError):
            self._ask("log_event", seconds=HEARD_WITHIN, topic=TOPIC, msg=told)

    def _tell_of_compiling(self, seconds: float | None) -> None:
        told = {"where": "the driver", "seconds": seconds}
        with suppress(Exception):
            self._ask("log_event", seconds=HEARD_WITHIN, topic=tasks.COMPILING, msg=told)

    def close(self) -> None:
        """Let go of the rows that workers hold, of passes to come, and of the client's hurry."""
        self._loads = []
        self._ahead.close()
        self._hurry.close()

    def _attempt(
        self,
        work: MapReduce[V, T],
        value: V,
        name: str,
        step: int | None,
        verify: bool,
        each: int | None,
    ) -> T:
        held: list[Future] = []
        try:
            with _large_arguments():
                threads = self._place()
                one_each = self.rows.lazy and not self.cached
                self._dealt = deal(len(self._shares), threads, None if one_each else each)
                packed = tasks.Packed.of(value)
                size = len(packed.data) * len(self._dealt)

                async def submit() -> Future:
                    parameters: Parameters = packed
                    if size > WITHIN_TASKS:
                        parameters = self._submit(
                            tasks.same, packed, key=self._label("parameters", step)
                        )
                        held.append(parameters)
                    level = self._map(work, parameters, self._label(name, step), verify)
                    held.extend(level)
                    merges = self._merge(level, work, self._label("merge", step))
                    held.extend(merges)
                    return merges[-1]

                # On the client's loop, where all of it is one message to the scheduler; from here
                # the first task is sent at once, and the client lets 10 ms pass before the others.
                root = self.client.sync(submit)
            result = self._wait(root)
            # What asked for it in vain may hold it for long, and with it a worker that could go.
            root.release()
            return result
        except BaseException:
            # A worker takes down whatever waits on it: the innocent are marked along.
            marked = {f.key[1] for f in self._loads if _failed_share(f)}
            for task in filter(_failed_share, held):
                marked.update(self._shares_of(task.key[1]))
            self._suspects = [self._shares[i] for i in sorted(marked)]
            # Also on Ctrl-C: nobody is left to want what is still running.
            with suppress(Exception):
                self.client.cancel(held, force=True)
            raise

    def _submit(self, function: Callable[..., Any], *arguments: object, **options: Any) -> Future:
        return self.client.submit(function, *arguments, pure=False, **options)

    def _submit_each(
        self,
        function: Callable[..., Any],
        each: Iterable[tuple[Any, tuple[object, ...]]],
        places: Iterable[Mapping[str, Any]] = repeat({}),
    ) -> list[Future]:
        """A task for each key and its arguments. What goes to one place goes in one message:
        the scheduler has more to do for a message than for a task."""
        made: list[Future] = []
        for place, together in groupby(zip(each, places, strict=False), itemgetter(1)):
            keys, arguments = zip(*(task for task, _ in together), strict=True)
            columns = zip(*arguments, strict=True)
            made += self.client.map(function, *columns, key=list(keys), pure=False, **place)
        return made

    def _compute(self, delayed: Iterable[Any]) -> list[Future]:
        return list(self.client.compute(list(delayed)))

    # -- shares ---------------------------------------------------------------------------------

    def _place(self) -> list[str]:
        """Cut blocks into shares and, in memory mode, load each where it is to stay; the threads
        there are, by the addresses of their workers."""
        workers = self._threads()
        self._all_replaced(workers)
        addresses = [address for address, n in sorted(workers.items()) for _ in range(n)]
        threads = self._present = len(addresses)
        good = self._loads and all(load.status in ("pending", "finished") for load in self._loads)
        if good and threads < 2 * self._cut_for:
            return addresses
        # Inputs of a task are all in memory at once: a Dask array is streamed block by block.
        whole = self.rows.lazy and not self.cached
        blocks = len(self.rows)
        cut = runs(blocks, 1) if whole else shares(blocks, threads, self._tasks_per_thread)
        self._cut_for = threads
        if good and len(cut) <= len(self._shares):
            return addresses
        self._shares = cut
        if self.cached:
            self._loads = self._load(self._label("load-rows", None), addresses)
        return addresses

    def _load(self, label: str, threads: Sequence[str]) -> list[Future]:
        if self.rows.lazy:
            held = dask.delayed(tasks.hold, pure=False)
            return self._compute(
                held(parts, dask_key_name=(label, i)) for i, parts in enumerate(self._parts())
            )
        dealt = deal(len(self._shares), threads)
        loads = (((label, d.first), (self._share(d),)) for d in dealt)
        return self._submit_each(tasks.load, loads, (d.place for d in dealt))

    @cached_property
    def _whole(self) -> tasks.Packed[Rows]:
        return tasks.without_blocks(self.rows)

    def _share(self, dealt: Dealt) -> tasks.Share:
        """The rows of a task that reads them itself."""
        first, last = self._shares[dealt.first][0], self._shares[dealt.last - 1][1]
        own = self.rows.share(first, last)
        common = (own.source, own.weights) == (self.rows.source, self.rows.weights)
        return tasks.Share.of(own, self._whole if common else tasks.without_blocks(own))

    def _threads_for(self, seconds: float) -> int:
        """How many threads would be worth their cost in a pass that took so long on these."""
        work = seconds * min(self._present, len(self._dealt))
        return min(len(self.rows), int(work / least_seconds(self.cached)))

    def _shares_of(self, first: int) -> range:
        """The shares of the task that begins with this one."""
        ends = (dealt.last for dealt in self._dealt if dealt.first == first)
        return range(first, next(ends, first + 1))

    def _parts(self) -> list[list[Any]]:
        """Per share, its blocks as delayed objects: inputs of tasks, never here."""
        blocks = tasks.delayed_blocks(self.rows)
        return [blocks[first:last] for first, last in self._shares]

    # -- tasks ----------------------------------------------------------------------------------

    def _map(
        self, work: MapReduce[V, T], value: Parameters, label: str, verify: bool
    ) -> list[Future]:
        if self.rows.lazy and not self.cached:
            swept = dask.delayed(tasks.sweep_held, pure=False)
            return self._compute(
                swept(work, [parts], value, dask_key_name=(label, i))
                for i, parts in enumerate(self._parts())
            )
        places = (dealt.place for dealt in self._dealt)
        if self.cached:
            held = (
                ((label, d.first), (work, self._loads[d.first : d.last], value))
                for d in self._dealt
            )
            return self._submit_each(tasks.sweep_held, held, places)
        streamed = (((label, d.first), (work, self._share(d), value, verify)) for d in self._dealt)
        return self._submit_each(tasks.sweep, streamed, places)

    def _merge(self, level: list[Future], work: MapReduce[V, T], label: str) -> list[Future]:
        """Nodes side by side made into larger ones; the last task is the root of the tree."""
        made: list[Future] = []
        for height in count():
            groups = [level[a:b] for a, b in runs(len(level), MERGE_AT_ONCE)]
            each = (((label, height, i), (work, group)) for i, group in enumerate(groups))
            level = self._submit_each(tasks.merge if len(groups) > 1 else tasks.total, each)
            made += level
            if len(level) == 1:
                break
        return made

    # -- waiting and faults ---------------------------------------------------------------------

    def _wait(self, root: Future) -> Any:
        patience = POLL_SECONDS
        while True:
            try:
                return root.result(timeout=patience)
            except TimeoutError:
                self._check_workers()
                with suppress(Exception):
                    self._ahead.renew()
                if root.done():
                    patience *= 2  # it is its way here that takes so long
            except UnboundLocalError:
                # How distributed's sync() ends when it is cancelled: a question for a result that
                # is given up takes the next one for it along.
                if root.status == "error":
                    raise
                time.sleep(0.01)

    def _threads(self) -> dict[str, int]:
        """Threads by worker; waits for the first worker to come.

        Cut for no workers at all, the rows would be one share: one worker would hold them all. A
        cluster that adapts to what there is to do starts none until a task is there for it.
        """
        wanted: Future | None = None
        try:
            while not (threads := self._ask("ncores")):
                wanted = wanted or self._submit(tasks.same, None, key=self._label("first", None))
                self._check_patience(())
                time.sleep(0.1)
            return dict(threads)
        finally:
            if wanted is not None:
                wanted.release()

    def _ask(self, question: str, **details: Any) -> Any:
        return asked(self.client, question, **details)

    def _check_workers(self) -> None:
        """A pass whose workers are all gone or paused would wait for ever."""
        connected = self._ask("identity", n_workers=-1)["workers"]
        if self._all_replaced(connected):
            raise ConnectionError("all workers were lost at once and others have come")
        self._check_patience(connected.values())

    def _check_patience(self, workers: Collection[dict[str, Any]]) -> None:
        if any(worker["status"] == "running" or executing(worker) for worker in workers):
            self._alive = time.monotonic()
        elif time.monotonic() - self._alive > self._patience:
            states = Counter(str(worker["status"]) for worker in workers)
            told = ", ".join(f"{n} {state}" for state, n in states.items()) or "none connected"
            raise ClusterError(
                f"no worker has been running for {self._patience:.0f} s (workers: {told}); "
                "start workers or give them more memory, then resume"
            )

    def _all_replaced(self, workers: Iterable[str]) -> bool:
        """True, and held rows forgotten, when no worker is left of those seen last.

        A task that prefers a worker, made runnable while there is none at all, waits for that
        very one for ever: the same asked anew, of the workers that have come, does not.
        """
        present = set(workers)
        replaced = bool(present and self._known) and not present & self._known
        self._known = present or self._known
        if replaced:
            self._loads = []
        return replaced

    def _give_up(self, problem: Exception, attempt: int, killed: int) -> None:
        """Raise what another attempt would not mend; else wait a little."""
        if killed > 1:
            raise BlocksKilledWorkers(self._killed()) from problem
        connected = self.client.status == "running"
        if connected and not killed and not passes_over(problem):
            raise problem
        if attempt >= self._attempts and connected and (fallen := self._fallen()):
            self._suspects = [self._shares[i] for i in fallen]
            raise BlocksKilledWorkers(self._killed()) from problem
        if attempt >= self._attempts or not connected:
            state = "" if connected else "; the scheduler is gone"
            raise ClusterError(
                f"the pass failed after {attempt} attempts{state}; last fault: "
                f"{type(problem).__name__}: {problem}"
            ) from problem
        logger.warning("pass attempt %d failed, trying again: %s", attempt, problem)
        time.sleep(0.25 * 2**attempt)

    def _fallen(self) -> list[int]:
        """Shares that worker after worker had in hand when it was lost, by the scheduler's record.

        Where few workers are, a deadly block has them all before Dask counts enough deaths of it.
        """
        lost = [
            {key[1] for key in event["processing-tasks"] if self._is_share(key)}
            for _, event in self._ask("events", topic="all")
            if event.get("action") == "remove-worker"
        ]
        deaths = Counter(share for shares in lost for share in shares)
        return sorted(share for share, times in deaths.items() if times >= self._attempts)

    def _is_share(self, key: Any) -> bool:
        """Whether a key is that of a task of this fit over one of its shares."""
        ours = isinstance(key, tuple) and len(key) == 2 and f"-{self.run}" in key[0]
        return ours and key[1] < len(self._shares)

    def _killed(self) -> str:
        cuts = self.rows.cuts
        told = [
            f"{first}–{last - 1} (rows {cuts[first]}–{cuts[last] - 1})"
            for first, last in self._suspects
        ]
        return (
            f"workers ended one after another while they had blocks {', '.join(told)} of "
            f"{self.rows.source.address} in hand, most often for want of memory: give workers "
            "more memory, or store smaller chunks"
        )

    def _report(self, name: str, step: int | None, seconds: float, attempts: int) -> None:
        rows = self.rows
        report = PassReport(
            name,
            step,
            seconds,
            rows.shape[0],
            rows.nbytes,
            len(rows),
            tasks=len(self._dealt),
            attempts=attempts,
            cached=self.cached,
        )
        self.tell("pass", **asdict(report))
        if self._on_pass is not None:
            self._on_pass(report)


def _failed_share(task: Future) -> bool:
    """Tasks of one share have keys of two parts, merges of three."""
    return task.status == "error" and isinstance(task.key, tuple) and len(task.key) == 2


def _large_arguments() -> Any:
    """What goes out once per pass may be large; distributed would warn from 10 MB on."""
    return dask.config.set({"distributed.admin.large-graph-warning-threshold": "10GB"})
