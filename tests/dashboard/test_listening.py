"""The listener on real schedulers: what it hears, what it keeps, and that it harms nothing."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from operator import add
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster

from gmm_dask import Configuration, Rows, fit, open_rows
from gmm_dask.chunked.engines import tasks
from gmm_dask.chunked.engines.in_process import SerialEngine
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.clusters.dask_settings import cluster_settings
from gmm_dask.dashboard import Listener, columns, text
from gmm_dask.dashboard.fits import MOST_LINES, FollowedFit, Load
from gmm_dask.doctor import cluster as doctor
from gmm_dask.fitting.events import MOST_PAST, Upkeep, tell_iteration, telling
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.mixture import compilation
from gmm_dask.mixture.iteration import EMSettings, start
from gmm_dask.settings.cluster import ClusterOptions
from tests.dashboard.running import Paused, cluster, engine_of, page

ROOT = Path(__file__).parents[2]
SETTINGS = Configuration(3, tol=1e-9, max_iter=12, accelerate=None)


def until(seen: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stop_at(iteration: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.state.iteration == iteration:
            raise KeyboardInterrupt

    return stop


def test_a_resumed_fit_tells_what_came_before(
    client: Client, listener: Listener, stored: str, tmp_path: Path
) -> None:
    """So a scheduler that was started anew knows it too: it hears no other way of the past."""
    run = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        fit(stored, SETTINGS, client=client, run=run, callbacks=[stop_at(6)])
    broken = listener.fits.newest_first()[0]
    assert (broken.name, broken.outcome) == (str(run), "interrupted")
    found = fit(stored, SETTINGS, client=client, run=run)
    whole = listener.fits.newest_first()[0]
    assert (whole.name, whole.outcome) == (str(run), "finished")
    assert whole.run != broken.run
    assert [line.iteration for line in whole.lines] == list(range(13))
    likelihoods = [entry["mean_log_likelihood"] for entry in found.history]
    assert [line.mean_log_likelihood for line in whole.lines] == likelihoods
    assert [fit.name for fit in listener.fits.newest_first()].count(str(run)) == 1
    assert any("goes on after iteration 6" in what for _, what in whole.happened)


def compiled(seconds: float) -> None:
    """As a kernel is, in a task over a share."""
    with tasks._compiling_is_told(), compilation._reported():
        time.sleep(seconds)


def test_a_worker_that_compiles_is_shown_in_place_of_the_first_pass(
    client: Client, listener: Listener, stored: str
) -> None:
    with telling(engine_of(client, stored), "fresh", EMSettings()):
        followed = listener.fits.newest_first()[0]
        assert "first pass" in text.facts(followed)
        done = client.submit(compiled, 2 * compilation.AT_ONCE, pure=False)
        until(lambda: "compiling: worker" in text.facts(followed))
        done.result()
        until(lambda: "first pass" in text.facts(followed))
        assert any("compiled kernels for" in what for _, what in followed.happened)


def test_degenerate_components_are_events(client: Client, listener: Listener) -> None:
    rows = np.repeat(np.arange(4.0), 50)[:, None] * [1.0, 1.0]
    fit(rows, Configuration(4, reg_covar=0.0, max_iter=5), client=client)
    followed = listener.fits.newest_first()[0]
    assert followed.degenerate > 0
    assert any("collapsed" in what for _, what in followed.happened)


def test_a_driver_that_leaves_without_a_word(
    client: Client, listener: Listener, stored: str
) -> None:
    with Client(client.scheduler.address, set_as_default=False) as driver:
        told = telling(engine_of(driver, stored), "left", EMSettings())
        told.__enter__()
        until(lambda: listener.fits.newest_first()[0].name == "left")
        assert listener.fits.newest_first()[0].running
    until(lambda: listener.fits.newest_first()[0].outcome == "driver gone")
    with pytest.raises(RuntimeError):
        told.__exit__(RuntimeError, RuntimeError(), None)


def test_workers_that_come_and_go_are_told_by_the_names_in_the_bars(stored: str) -> None:
    with cluster(2) as client:
        scheduler = client.cluster.scheduler
        listener = scheduler.plugins[Listener.name]
        with Paused(client, stored, None, 2, components=3, tol=1e-9, max_iter=6):
            client.cluster.scale(1)
            until(lambda: len(scheduler.workers) == 1)
            (left,) = (str(state.name) for state in scheduler.workers.values())
            gone = {"0": "1", "1": "0"}[left]
            client.cluster.scale(3)
            until(lambda: len(scheduler.workers) == 3)
        followed = listener.fits.newest_first()[0]
        assert followed.outcome == "finished"
        told = [what for _, what in followed.happened]
        assert f"worker {gone} has left" in told
        names = sorted({str(state.name) for state in scheduler.workers.values()} - {left})
        assert any(
            what.startswith("2 workers have joined: ")
            and sorted(what.partition(": ")[2].split(", ")) == names
            for what in told
        ), told
        assert set(followed.workers) == {left, *names}


def test_balance_is_by_threads() -> None:
    """A worker of three threads that did three times the work is as busy as the other."""
    assert columns.balance({"0": Load(2.0, 1), "1": Load(2.0, 3)}) == (
        "Balance of 2 workers: 0% idle beside the busiest"
    )
    assert columns.balance({"0": Load(2.0, 1), "1": Load(1.0, 3)}) == (
        "Balance of 2 workers: 38% idle beside the busiest"
    )


def test_what_a_worker_of_many_threads_did_is_divided_among_them(stored: str) -> None:
    with (
        dask.config.set(cluster_settings()),
        LocalCluster(
            n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as local,
        Client(local) as client,
    ):
        fit(stored, SETTINGS, client=client, block_bytes=64_000)
        (followed,) = local.scheduler.plugins[Listener.name].fits.newest_first()
        (load,) = followed.workers.values()
        assert load.threads == 2
        seconds = followed.lines[-1].seconds
        assert 0 < load.seconds <= seconds + 0.1


def test_of_two_fits_it_is_told_which_waits_for_which(stored: str) -> None:
    """One thread: the tasks of the first, which take their time, are before those of the second."""
    with cluster(1) as client:
        listener = client.cluster.scheduler.plugins[Listener.name]
        first, second = (engine_of(client, stored) for _ in range(2))
        with (
            telling(first, "runs/first", EMSettings()),
            telling(second, "runs/second", EMSettings()),
            ThreadPoolExecutor(2) as pool,
        ):
            one = pool.submit(first.map_reduce, slowly, 0.3, combine=add)
            until(lambda: any(w.executing for w in client.cluster.scheduler.workers.values()))
            other = pool.submit(second.map_reduce, slowly, 0.0, combine=add)

            def told() -> bool:
                listener.look_at_queues()
                behind = {fit.name: fit.behind for fit in listener.fits.running()}
                assert not behind["runs/first"]
                return behind["runs/second"] == ("runs/first",)

            until(told)
            followed = next(f for f in listener.fits.running() if f.name == "runs/second")
            assert "queued behind runs/first" in text.facts(followed)
            one.result(), other.result()
        until(lambda: not followed.running)
        assert "queued" not in text.facts(followed)


def slowly(table: Any, weights: Any, first_row: int, seconds: float) -> int:
    del weights, first_row
    time.sleep(seconds)
    return len(table)


def test_how_long_it_takes_still_is_told_as_it_is_on_the_terminal(
    client: Client, listener: Listener, stored: str
) -> None:
    settings: dict[str, Any] = {"components": 3, "tol": 1e-12, "accelerate": None}
    with Paused(client, stored, None, 6, **settings, max_iter=40) as paused:
        paused.told(client, 6)
        followed = listener.fits.newest_first()[0]
        left = followed.left
        assert left is not None
        assert 0 < left.seconds < 600
        assert f'time left</div><div class="value">{left}' in text.facts(followed)
    until(lambda: not followed.running)
    assert followed.left is None
    assert "time left" not in text.facts(followed)


def test_nonsense_harms_nothing(
    client: Client, listener: Listener, stored: str, caplog: pytest.LogCaptureFixture
) -> None:
    for nonsense in (None, "begin", {}, {"event": "begin", "run": "x"}, {"run": []}):
        client.log_event("gmm-dask", nonsense)
    found = fit(stored, SETTINGS, client=client)
    followed = listener.fits.newest_first()[0]
    assert followed.outcome == "finished"
    assert followed.lines[-1].mean_log_likelihood == found.mean_log_likelihood
    complaints = [told for told in caplog.records if "missed something" in told.message]
    assert len(complaints) <= 1
    assert listener.failed


def test_one_event_an_iteration_however_many_chunks(client: Client, stored: str) -> None:
    sizes = {}
    for block_bytes in (64_000, 8_000_000):
        found = fit(stored, SETTINGS, client=client, block_bytes=block_bytes)
        told = [event for _, event in client.get_events("gmm-dask") if event and "event" in event]
        begun = max(i for i, event in enumerate(told) if event["event"] == "begin")
        events = told[begun:]
        count = [each["event"] for each in events]
        assert count.count("iteration") == len(found.history)
        assert count.count("pass") == found.passes + 1
        assert len(count) == len(found.history) + found.passes + 3
        sizes[block_bytes] = max(len(str(event)) for event in events)
    assert max(sizes.values()) < 2_000


class Noted(SerialEngine):
    """An engine that keeps what it is to tell."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self.events: list[dict[str, Any]] = []

    def tell(self, event: str, **facts: object) -> None:
        self.events.append({"event": event, "run": "r", "client": "c", **facts})


ODD = {"component": 0, "kind": "collapsed", "reason": "its covariance met the floor"}


def test_what_is_kept_is_bounded() -> None:
    """Millions of iterations fit: the whole way stays to be seen, the newest in full."""
    found = fit(np.random.default_rng(0).normal(size=(50, 1)), 2)
    told = Noted(open_rows(np.zeros((50, 1))))
    with telling(told, "long", EMSettings()):
        for number in range(5 * MOST_LINES):
            entry = {**found.history[0], "iteration": number, "events": [ODD]}
            tell_iteration(told, start([found.mixture]), entry, Upkeep(0.0, 0.0, None))
    followed = FollowedFit.begin(told.events[0])
    for event in told.events[1:-1]:
        followed.iterate(event, {})
        assert len(followed.lines) <= MOST_LINES
    numbers = [line.iteration for line in followed.lines]
    assert numbers[0] == 0
    assert numbers[-100:] == list(range(5 * MOST_LINES - 100, 5 * MOST_LINES))
    assert numbers == sorted(set(numbers))
    assert len(followed.happened) <= 100
    assert MOST_PAST <= MOST_LINES


def test_a_scheduler_that_preloads_it(stored: str, tmp_path: Path) -> None:
    address = tmp_path / "scheduler.json"
    arguments = f"--preload gmm_dask.dashboard --host 127.0.0.1 --port 0 --scheduler-file {address}"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *arguments.split()]
    with subprocess.Popen([*command, "--dashboard-address", "127.0.0.1:0"], cwd=ROOT) as process:
        try:
            until(address.exists)
            with Client(scheduler_file=str(address)) as client:
                link = client.dashboard_link
                with telling(engine_of(client, stored), "told", EMSettings()):
                    pages = {
                        name: urllib.request.urlopen(link.replace("status", name)).read().decode()
                        for name in ("gmm", "mixtures", "metrics", "status")
                    }
        finally:
            process.terminate()
    assert '<div id="fits" class="">' in pages["gmm"]
    assert '<div id="fits" class="">' in pages["mixtures"]
    assert 'gmm_dask_running{model="told",source="' in pages["metrics"]
    assert '<a href="mixtures">Mixtures</a>' in pages["status"]


@contextmanager
def scheduler(folder: Path, *arguments: str, bokeh: bool = True) -> Iterator[str]:
    """A scheduler's address, in a process of its own."""
    file = folder / "scheduler.json"
    program = "from distributed.cli.dask_scheduler import main; main()"
    blind = "" if bokeh else "import sys; sys.modules['bokeh'] = None; "
    place = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
    if "--no-dashboard" not in arguments:
        place += ["--dashboard-address", "127.0.0.1:0"]
    command = [sys.executable, "-c", blind + program, *place, *arguments]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            until(lambda: file.exists() and file.read_text().endswith("}"), 120)
            yield json.loads(file.read_text())["address"]
        finally:
            process.terminate()


PRELOAD = ("--preload", "gmm_dask.dashboard")


@pytest.mark.parametrize(
    ("arguments", "bokeh", "why"),
    [
        (PRELOAD, True, None),
        ((), True, "its scheduler was started without --preload gmm_dask.dashboard"),
        (PRELOAD, False, "its scheduler has no bokeh (pip install 'gmm-dask[dashboard]')"),
        ((*PRELOAD, "--no-dashboard"), True, "its scheduler was started without a dashboard"),
    ],
)
def test_who_fits_there_is_told_where_the_page_is_or_why_there_is_none(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    arguments: tuple[str, ...],
    bokeh: bool,
    why: str | None,
) -> None:
    caplog.set_level("INFO", logger="gmm_dask")
    with (
        scheduler(tmp_path, *arguments, bokeh=bokeh) as address,
        cluster_for(ClusterOptions(scheduler=address)) as client,
    ):
        where = f"none, for {why}" if why else page(client)
        findings = list(doctor.page(client))
    assert f"0 threads; page of fits: {where}" in caplog.text
    (finding,) = findings
    assert finding.told == where
    assert finding.level == ("note" if why else "good")


WITHOUT = """
import sys
sys.modules.update({"bokeh": None, "prometheus_client": None})
import gmm_dask
from tests.dashboard.running import cluster
if __name__ == "__main__":
    with cluster(1) as client:
        heard = client.cluster.scheduler.plugins["gmm-dask"].fits
        gmm_dask.fit(sys.argv[1], gmm_dask.Configuration(2, max_iter=3), client=client)
        print(heard.newest_first()[0].outcome, "bokeh.models" in sys.modules)
"""


def test_without_bokeh_and_prometheus_nothing_fails(stored: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:gmm_dask", "-c", WITHOUT, stored],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert done.stdout == "finished False\n", done.stderr
    assert "gmm_dask" not in done.stderr, "nothing of ours complains"
