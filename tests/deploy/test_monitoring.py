"""Rules and the board, read by the Prometheus that is to read them, of what real fits export."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
import zarr

from gmm_dask.chunked.metrics.textfile import METRICS
from gmm_dask.fitting.jobs import refit_job
from gmm_dask.settings.job import job_from
from tests.dashboard.running import Paused, cluster, overlapping, page
from tests.deploy.processes import DEPLOY, Processes, processes_in, until, well
from tests.faults.rows.processes import free_port

MONITORING = DEPLOY / "monitoring"
RULES, BOARD = MONITORING / "alerts.yml", MONITORING / "dashboard.json"
NAMES = re.compile(r"\b(?:gmm_dask|dask|node)_[a-z_]+\b|\bup\b")

pytestmark = pytest.mark.needs("prometheus", "promtool", "prometheus-node-exporter")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    return list(json.loads(BOARD.read_text())["panels"])


def questions() -> dict[str, str]:
    """What each panel asks, as Grafana fills it in."""
    filled = {"$model": ".*", "$__rate_interval": "30s", "$__interval": "30s"}
    asked = {}
    for made in panels():
        for target in made["targets"]:
            told = target["expr"]
            for name, value in filled.items():
                told = told.replace(name, value)
            asked[f"{made['title']} {target['refId']}"] = told
    return asked


class Prometheus:
    """One that reads a scheduler and node_exporter every second, with our rules."""

    def __init__(self, processes: Processes, scheduler: str, folder: Path) -> None:
        node, own = (f"127.0.0.1:{free_port()}" for _ in range(2))
        textfile = ["--collector.disable-defaults", "--collector.textfile"]
        textfile += [f"--collector.textfile.directory={folder}", f"--web.listen-address={node}"]
        processes.start("node", ["prometheus-node-exporter", *textfile])
        jobs = {"dask": urllib.parse.urlsplit(scheduler).netloc, "node": node}
        scraped = [
            {"job_name": job, "static_configs": [{"targets": [place]}]}
            for job, place in jobs.items()
        ]
        asked = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": scraped,
        }
        (processes.folder / "prometheus.yml").write_text(yaml.safe_dump(asked))
        places = ["--config.file=prometheus.yml", "--storage.tsdb.path=kept"]
        processes.start("prometheus", ["prometheus", *places, f"--web.listen-address={own}"])
        self.address, self.folder = f"http://{own}/api/v1", folder

    def ask(self, question: str, **fields: str) -> Any:
        """Its answer; None while it is not up."""
        told = f"{self.address}/{question}?{urllib.parse.urlencode(fields)}"
        try:
            with urllib.request.urlopen(told) as answer:
                return json.load(answer)["data"]
        except ConnectionError:
            return None
        except urllib.error.URLError as problem:
            if isinstance(problem.reason, ConnectionError):
                return None
            raise

    def samples(self, asked: str) -> list[dict[str, Any]]:
        """Of a query."""
        found = self.ask("query", query=asked)
        return [] if found is None else list(found["result"])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Of a model that was refitted twice, and a fit that stands in its middle."""
    place = tmp_path_factory.mktemp("monitoring")
    folder = place / "textfile"
    folder.mkdir()
    source = overlapping(place / "rows.zarr", 20_000)
    with pytest.MonkeyPatch.context() as patch, cluster(1) as client, processes_in(place) as ours:
        patch.setenv(METRICS, str(folder))
        mixture = {"components": 2, "max_iter": 3}
        models = str(place / "models")
        job = job_from({"source": source, "models": models, "mixture": mixture})
        refit_job(job)
        array = zarr.open_array(source)
        array.append(array[:2_000])
        refit_job(job)
        run = place / "runs" / "under-way"
        settings: dict[str, Any] = {"components": 3, "tol": 0.0, "max_iter": 9}
        with Paused(client, source, run, 4, **settings):
            made = Prometheus(ours, page(client), folder)
            seen = 'count_over_time(gmm_dask_running{model=~".*under-way"}[1m]) > 3'
            until(lambda: len(made.samples(seen)) == 2, lambda: ours.log("prometheus"))
            yield made


def test_each_rule_fires_when_it_should_and_only_then() -> None:
    rules = MONITORING / "alerts.test.yml"
    tests = yaml.safe_load(rules.read_text())["tests"]
    asked = {
        (case["alertname"], bool(case["exp_alerts"]))
        for test in tests
        for case in test["alert_rule_test"]
    }
    for alert in alerts():
        assert (alert["alert"], True) in asked
        assert (alert["alert"], False) in asked or alert["expr"] == "vector(1)"
    assert "SUCCESS" in well(["promtool", "test", "rules", rules])


def test_what_is_asked_for_is_exported(prometheus: Prometheus) -> None:
    told = set(prometheus.ask("label/__name__/values"))
    board = [target["expr"] for made in panels() for target in made["targets"]]
    for asked in [*(alert["expr"] for alert in alerts()), *board, BOARD.read_text()]:
        assert set(NAMES.findall(asked)) <= told, asked


def test_every_panel_has_something_to_show(prometheus: Prometheus) -> None:
    empty = [title for title, asked in questions().items() if not prometheus.samples(asked)]
    assert empty == []
    (series,) = prometheus.samples(questions()["Fits at work A"])
    assert series["value"][1] == "1", "told by the scheduler and by the driver, it is one fit"


def test_nobody_is_paged_by_a_fit_that_is_well(prometheus: Prometheus) -> None:
    (group,) = prometheus.ask("rules")["groups"]
    assert [(rule["name"], rule["health"]) for rule in group["rules"]] == [
        (alert["alert"], "ok") for alert in alerts()
    ]
    told = {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]}
    assert told == {"DeadMansSwitch"}


def test_the_files_are_as_prometheus_wants_them(prometheus: Prometheus) -> None:
    paths = list(prometheus.folder.glob("*.prom"))
    assert len(paths) == 2
    for path in paths:
        well(["sh", "-c", f"promtool check metrics <{path}"])


def test_panels_are_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for made in panels():
        place = made["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, made["title"]
        assert max(x for x, _ in cells) < 24, made["title"]
        taken |= cells
