"""The listener on real schedulers: what it hears, what it keeps, and that it harms nothing."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

from gmm_dask import Configuration, Rows, fit, open_rows
from gmm_dask.chunked.reduce import SerialEngine
from gmm_dask.dashboard import Listener
from gmm_dask.dashboard.fits import MOST_LINES, FollowedFit
from gmm_dask.journey import Progress
from gmm_dask.mixture.iteration import Settings, start
from gmm_dask.telling import MOST_PAST, Upkeep, tell_iteration, telling
from tests.dashboard.running import Paused, cluster, engine_of

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
        told = telling(engine_of(driver, stored), "left", Settings())
        told.__enter__()
        until(lambda: listener.fits.newest_first()[0].name == "left")
        assert listener.fits.newest_first()[0].running
    until(lambda: listener.fits.newest_first()[0].outcome == "driver gone")
    with pytest.raises(RuntimeError):
        told.__exit__(RuntimeError, RuntimeError(), None)


def test_a_lost_worker_is_an_event(stored: str) -> None:
    with cluster(2) as client:
        listener = client.cluster.scheduler.plugins[Listener.name]
        with Paused(client, stored, None, 2, components=3, tol=1e-9, max_iter=6):
            client.cluster.scale(1)
            until(lambda: len(client.cluster.scheduler.workers) == 1)
        followed = listener.fits.newest_first()[0]
        assert followed.outcome == "finished"
        assert any("has left" in what for _, what in followed.happened)


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
    with telling(told, "long", Settings()):
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
                with telling(engine_of(client, stored), "told", Settings()):
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
