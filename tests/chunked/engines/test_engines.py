"""Both engines give the same bits, on any cluster, held or streamed, through lost workers."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any

import dask.array
import numpy as np
import pytest
from distributed import Client, get_task_stream
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from gmm_dask.chunked.blas import one_blas_thread
from gmm_dask.chunked.engines import graph, tasks, waiting
from gmm_dask.chunked.engines.dask import DaskEngine
from gmm_dask.chunked.engines.faults import BlocksKilledWorkers, ClusterError
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.chunked.engines.protocol import PassReport
from gmm_dask.chunked.rows import DataError, Rows, Values, Weights, open_rows
from tests.chunked.conftest import local_cluster, store

Vector = NDArray[np.float64]


def total(table: Values, weights: Weights, first_row: int, value: Vector) -> Vector:
    """Sums whose last bits depend on the order of addition."""
    held = table * value if weights is None else table * value * weights[:, None]
    return np.append(held.sum(axis=0), float(first_row))


def bits(vector: Vector) -> bytes:
    return vector.tobytes()


VALUE = np.array([1 / 3, 0.1, 1e-3])


@pytest.fixture
def rows(stored: str) -> Rows:
    """21 blocks: no power of two, the last one ragged."""
    return open_rows(stored, block_bytes=1200)


@pytest.fixture(scope="module", params=[(1, 1), (2, 1), (3, 1), (1, 2), (2, 2)], ids=str)
def any_client(request: pytest.FixtureRequest) -> Iterator[Client]:
    workers, threads = request.param
    with local_cluster(workers, threads) as client:
        yield client


def test_order_of_addition_shows(rows: Rows) -> None:
    """Else the tests below would prove nothing."""
    tree = SerialEngine(rows).map_reduce(total, VALUE)
    line = sum(total(*rows.read(i), rows.blocks[i][0], VALUE) for i in range(len(rows)))
    assert bits(tree) != bits(np.asarray(line))


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("kind", ["zarr", "numpy", "dask"])
def test_any_cluster_gives_the_bits_of_the_serial_engine(
    any_client: Client, stored: str, table: NDArray[np.float64], cache: Any, kind: str
) -> None:
    source = {
        "zarr": stored,
        "numpy": table,
        "dask": dask.array.from_array(table, chunks=(50, 2)),
    }[kind]
    rows = open_rows(source, weights=table[:, 0] ** 2, block_bytes=1200)
    expected = SerialEngine(rows, cache="none").map_reduce(total, VALUE)
    engine = DaskEngine(any_client, rows, cache=cache)
    for step in range(2):
        result = engine.map_reduce(total, VALUE, step=step)
        assert bits(result) == bits(expected)
    engine.close()


@pytest.mark.parametrize("tasks", [1, 2, 4, 16, 100])
def test_any_share_size_gives_the_same_bits(client: Client, rows: Rows, tasks: int) -> None:
    expected = SerialEngine(rows).map_reduce(total, VALUE)
    engine = DaskEngine(client, rows, cache="none", tasks_per_thread=tasks)
    assert bits(engine.map_reduce(total, VALUE)) == bits(expected)


def test_nodes_of_large_parameters_are_merged_two_by_two_to_the_same_bits(
    client: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [graph.at_once(size) for size in (1000, 2**22, 10**7, 10**9)] == [16, 16, 6, 2]
    expected = SerialEngine(rows).map_reduce(total, VALUE)
    merges = []
    for most in (2**26, 1):
        monkeypatch.setattr(graph, "MERGED_BYTES", most)
        with get_task_stream(client) as stream:
            found = DaskEngine(client, rows, tasks_per_thread=8).map_reduce(total, VALUE)
        assert bits(found) == bits(expected)
        merges.append(sum("merge" in str(task["key"]) for task in stream.data))
    assert merges[0] < merges[1]


def test_serial_engine_held_and_streamed(rows: Rows) -> None:
    held = SerialEngine(rows, cache="memory")
    streamed = SerialEngine(rows, cache="none")
    assert bits(held.map_reduce(total, VALUE)) == bits(streamed.map_reduce(total, VALUE))


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("cache", ["memory", "none"])
def test_threads_of_the_serial_engine_give_its_bits(rows: Rows, cache: Any, threads: int) -> None:
    expected = SerialEngine(rows).map_reduce(total, VALUE)
    names = set()

    def noted(*arguments: Any) -> Any:
        names.add(threading.current_thread().name)
        time.sleep(0.005)  # for the others to wake
        return total(*arguments)

    engine = SerialEngine(rows, cache=cache, threads=threads)
    assert bits(engine.map_reduce(noted, VALUE)) == bits(expected)
    assert 1 < len(names) <= threads


def test_a_failure_in_one_thread_ends_the_pass(rows: Rows) -> None:
    seen = []

    def failing(*arguments: Any) -> Any:
        seen.append(arguments[2])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        SerialEngine(rows, threads=2).map_reduce(failing, VALUE)
    assert len(seen) < len(rows)


def test_threads_are_kept_from_pass_to_pass_until_the_engine_is_closed(rows: Rows) -> None:
    used = set()

    def noted(*arguments: Any) -> Any:
        used.add(threading.current_thread())
        time.sleep(0.005)  # for the others to wake
        return total(*arguments)

    engine = SerialEngine(rows, threads=2)
    for _ in range(3):
        engine.map_reduce(noted, VALUE)
    (other,) = used - {threading.current_thread()}
    assert other.is_alive()
    engine.close()
    assert not other.is_alive()


def test_weights_of_a_dask_array_beside_rows_of_zarr(
    client: Client, stored: str, table: NDArray[np.float64]
) -> None:
    heights = dask.array.from_array(np.arange(1003.0), chunks=70)
    rows = open_rows(stored, weights=heights, block_bytes=2400)
    assert rows.lazy
    result = DaskEngine(client, rows, cache="none").map_reduce(total, VALUE)
    np.testing.assert_allclose(result[:3], (table * VALUE * np.arange(1003.0)[:, None]).sum(0))


def test_skipped_rows_are_left_out_of_later_passes(client: Client, tmp_path: Path) -> None:
    values = np.ones((100, 3))
    values[[0, 50, 99], 1] = np.nan, np.inf, 1e160
    path = store(tmp_path / "gaps.zarr", values, chunks=(10, 3))
    rows = open_rows(path, nonfinite="skip", block_bytes=480)
    assert sum(len(rows.read(i)[0]) for i in range(len(rows))) == 97
    for engine in (
        SerialEngine(rows),
        DaskEngine(client, rows, cache="memory"),
        DaskEngine(client, rows, cache="none"),
    ):
        assert engine.map_reduce(total, np.ones(3))[0] == 97
        assert np.isnan(engine.map_reduce(total, np.ones(3), every_row=True)[1])


def test_keys_say_what_a_task_does(
    client: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gmm_dask.chunked.engines.graph.WITHIN_TASKS", 0)
    engine = DaskEngine(client, rows, cache="memory", run="r1")
    with get_task_stream(client) as stream:
        engine.map_reduce(total, VALUE, step=3)
    groups = {str(task["key"]).split("'")[1] for task in stream.data if task["key"][0] == "("}
    keys = {task["key"] if isinstance(task["key"], str) else task["key"][0] for task in stream.data}
    names = groups | {key for key in keys if not key.startswith("(")}
    assert {"sweep-r1-it3", "merge-r1-it3", "load-rows-r1", "parameters-r1-it3"} <= names


def test_tasks_follow_threads_not_blocks(client: Client, rows: Rows) -> None:
    reports: list[PassReport] = []
    engine = DaskEngine(client, rows, cache="none", tasks_per_thread=4, on_pass=reports.append)
    engine.map_reduce(total, VALUE, name="sweep", step=1)
    (report,) = reports
    assert (report.name, report.step, report.rows, report.attempts) == ("sweep", 1, 1003, 1)
    assert report.tasks == 2 * 4
    assert report.blocks == 21
    events = [event for _, event in client.get_events("gmm-dask")]
    assert events[-1]["run"] == engine.run
    assert events[-1]["bytes"] == 1003 * 3 * 8


def test_held_rows_stay_where_they_were_loaded(client: Client, rows: Rows) -> None:
    engine = DaskEngine(client, rows, cache="memory")
    engine.map_reduce(total, VALUE)
    before = client.who_has(engine.placement.loads)
    for step in range(5):
        engine.map_reduce(total, VALUE, step=step)
    assert client.who_has(engine.placement.loads) == before
    assert {len(where) for where in before.values()} == {1}
    assert len({where[0] for where in before.values()}) == 2
    engine.close()


def test_auto_holds_what_fits(client: Client, rows: Rows) -> None:
    assert DaskEngine(client, rows, cache="auto").cached
    assert not DaskEngine(client, rows, cache="auto", memory_share=1e-9).cached


def test_large_values_travel_without_warnings(client: Client, rows: Rows) -> None:
    large = np.zeros(2_000_000)
    engine = DaskEngine(client, rows)
    assert engine.map_reduce(first_of, large) == 21


def first_of(_t: Values, _w: Weights, _first: int, value: Vector) -> int:
    assert value.size == 2_000_000
    return 1


def failing(_t: Values, _w: Weights, first_row: int, value: list[str]) -> int:
    if first_row == 500:
        with open(value[0], "a") as calls:
            calls.write("x")
        raise np.linalg.LinAlgError("not positive definite")
    return 1


def test_errors_of_the_arithmetic_are_not_tried_again(
    client: Client, rows: Rows, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    engine = DaskEngine(client, rows)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        engine.map_reduce(failing, [str(calls)])
    assert calls.read_text() == "x"


def test_errors_of_the_data_arrive_as_they_are(client: Client, rows: Rows, stored: str) -> None:
    chunk = Path(stored) / "c" / "7" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-5])
    for cache in ("memory", "none"):
        with pytest.raises(DataError, match=r"chunk c/7/0 is truncated or corrupt"):
            DaskEngine(client, rows, cache=cache).map_reduce(total, VALUE)


def once(_t: Values, _w: Weights, first_row: int, value: str) -> int:
    """Fails for lack of a connection, the first time only."""
    marker = Path(value) / str(first_row)
    if first_row == 500 and not marker.exists():
        marker.touch()
        raise ConnectionResetError("gone for a moment")
    return 1


def test_faults_of_the_network_are_tried_again(client: Client, rows: Rows, tmp_path: Path) -> None:
    reports: list[PassReport] = []
    engine = DaskEngine(client, rows, cache="memory", on_pass=reports.append)
    assert engine.map_reduce(once, str(tmp_path)) == 21
    assert reports[0].attempts == 2


def slow(table: Values, weights: Weights, first_row: int, value: Vector) -> Vector:
    time.sleep(0.05)
    return total(table, weights, first_row, value)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_a_worker_killed_in_the_middle_changes_no_bit(rows: Rows, cache: Any) -> None:
    expected = SerialEngine(rows).map_reduce(total, VALUE)
    reports: list[PassReport] = []
    with local_cluster(2) as client:
        engine = DaskEngine(client, rows, cache=cache, on_pass=reports.append)
        engine.map_reduce(total, VALUE)
        pids = client.run(os.getpid)
        started = time.monotonic()
        timer = Timer(0.2, os.kill, (next(iter(pids.values())), signal.SIGKILL))
        timer.start()
        result = engine.map_reduce(slow, VALUE, step=1)
        timer.join()
        assert time.monotonic() - started > 0.2
        assert bits(result) == bits(expected)
        assert reports[-1].attempts == 1, "the scheduler mends it, the driver need not"
        assert bits(engine.map_reduce(total, VALUE, step=2)) == bits(expected)
        engine.close()


def test_all_workers_lost_at_once_change_no_bit(rows: Rows) -> None:
    expected = SerialEngine(rows).map_reduce(total, VALUE)
    with local_cluster(2) as client:
        engine = DaskEngine(client, rows, cache="memory")
        engine.map_reduce(total, VALUE)
        pids = list(client.run(os.getpid).values())
        timer = Timer(0.2, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids])
        timer.start()
        result = engine.map_reduce(slow, VALUE, step=1)
        timer.join()
        engine.close()
    assert bits(result) == bits(expected)


def deadly(_t: Values, _w: Weights, first_row: int, value: int) -> int:
    if first_row == value:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


def test_blocks_that_kill_workers_are_named(rows: Rows) -> None:
    settings = {"distributed.scheduler.allowed-failures": 1}
    with local_cluster(2, settings=settings) as client:
        engine = DaskEngine(client, rows, cache="none")
        with pytest.raises(BlocksKilledWorkers) as caught:
            engine.map_reduce(deadly, 550)
    named = re.findall(r"\(rows (\d+)–(\d+)\)", str(caught.value))
    assert any(int(first) <= 550 <= int(last) for first, last in named), str(caught.value)


def test_a_cluster_that_adapts_is_asked_for_its_first_worker(rows: Rows) -> None:
    """Dask starts none before a task is there for it."""
    expected = SerialEngine(rows).map_reduce(total, VALUE)
    with local_cluster(0) as client:
        client.cluster.adapt(minimum=0, maximum=2, interval="100ms")
        engine = DaskEngine(client, rows, no_workers_timeout=60)
        for step in range(3):
            assert bits(engine.map_reduce(total, VALUE, step=step)) == bits(expected)
        engine.close()


def test_a_scheduler_keeps_few_messages_and_one_source_in_all_of_them(rows: Rows) -> None:
    """Also one that nobody has set, and to workers that come later."""
    with local_cluster(1, settings={"distributed.admin.low-level-log-length": 1000}) as client:
        engine = DaskEngine(client, rows, cache="none", tasks_per_thread=12)
        client.cluster.scale(2)
        client.wait_for_workers(2, timeout=60)
        engine.map_reduce(total, VALUE)
        sent = [one.recent_message_log for one in client.cluster.scheduler.stream_comms.values()]
        assert [log.maxlen for log in (*sent, client.scheduler_comm.recent_message_log)] == [20] * 3
        messages = [message for log in sent for payload in log for message in payload]
        specs = [message["run_spec"] for message in messages if "run_spec" in message]
        shares = [share for spec in specs for share in shares_in(spec.data)]
        engine.close()
    assert len(shares) >= 12
    assert len({id(share.rows) for share in shares}) <= 2, "one for the threads of each worker"


def shares_in(task: Any) -> list[tasks.Share]:
    return [part for part in getattr(task, "args", ()) if isinstance(part, tasks.Share)]


def test_a_client_sends_as_before_when_the_last_engine_is_closed(
    client: Client, rows: Rows
) -> None:
    with Client(client.scheduler.address, set_as_default=False) as own:
        before = own.scheduler_comm.interval
        one, other = DaskEngine(own, rows), DaskEngine(own, rows)
        assert own.scheduler_comm.interval < before
        one.close()
        one.close()
        assert own.scheduler_comm.interval < before
        other.close()
        assert own.scheduler_comm.interval == before


def test_no_workers_is_an_error_not_a_hang(rows: Rows) -> None:
    with local_cluster(0) as client:
        engine = DaskEngine(client, rows, cache="none", no_workers_timeout=0.5)
        with pytest.raises(ClusterError, match=r"no worker has been running .*none connected"):
            engine.map_reduce(total, VALUE)


def test_a_lost_scheduler_is_an_error_not_a_hang(rows: Rows) -> None:
    with local_cluster(1) as client:
        engine = DaskEngine(client, rows, cache="none", attempts=2)
        engine.map_reduce(total, VALUE)
        client.cluster.close()
        with pytest.raises(ClusterError, match="the pass failed"):
            engine.map_reduce(total, VALUE)


def large(table: Values, weights: Weights, first_row: int, value: int) -> np.ndarray:  # noqa: ARG001
    """Statistics that take a while to get to the driver."""
    return np.full(value, 1.0)


def test_a_result_that_is_long_on_its_way_is_waited_for(
    client: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the time between two looks at the workers."""
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.0005)
    engine = DaskEngine(client, rows, cache="none")
    assert engine.map_reduce(large, 2**18)[0] == len(rows)


class Homesick:
    """A value that cannot be unpickled in the process that it comes from."""

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return arrived, (os.getpid(),)


def arrived(home: int) -> Homesick:
    assert os.getpid() != home, "unpickled by the scheduler, which only passes it on"
    return Homesick()


def counted(table: Values, weights: Weights, first_row: int, value: Homesick) -> int:  # noqa: ARG001
    return len(table)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_only_workers_unpack_a_value(client: Client, rows: Rows, cache: Any) -> None:
    engine = DaskEngine(client, rows, cache=cache)
    assert engine.map_reduce(counted, Homesick()) == rows.shape[0]


def test_limits_of_openmp_come_back_in_the_threads_that_had_them() -> None:
    """They are each thread's own; what came first ends first here."""
    import sklearn.cluster  # noqa: F401  loads libgomp

    entered, ended = threading.Barrier(2), threading.Event()

    def limited(last: bool) -> tuple[set[int], set[int], set[int]]:
        before = _openmp_threads()
        with one_blas_thread():
            inside = _openmp_threads()
            entered.wait(60)
            if last:
                ended.wait(60)
        ended.set()
        return before, inside, _openmp_threads()

    with ThreadPoolExecutor(2) as pool:
        limits = [pool.submit(limited, last) for last in (False, True)]
    for before, inside, after in (one.result() for one in limits):
        assert inside == {1}
        assert before == after


def _openmp_threads() -> set[int]:
    openmp = ThreadpoolController().select(user_api="openmp")
    return {library.num_threads for library in openmp.lib_controllers}
