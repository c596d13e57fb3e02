"""What Prometheus reads of a scheduler: scraped over HTTP, taken apart by its own parser."""

import re
import time
import urllib.request
from pathlib import Path

import pytest
from distributed import Client
from prometheus_client.parser import text_string_to_metric_families

from gmm_dask import Configuration, fit
from gmm_dask.chunked.metrics import meters
from gmm_dask.chunked.metrics.definitions import FAMILIES, FIT, OUTCOMES, MetricFamily
from gmm_dask.dashboard import Listener
from gmm_dask.fitting.events import telling
from gmm_dask.fitting.jobs import refit_job
from gmm_dask.mixture.iteration import EMSettings
from gmm_dask.settings.job import job_from
from tests.dashboard.running import Paused, engine_of, page
from tests.faults.cluster import until


def scraped(client: Client, model: str) -> dict[str, dict[str, float]]:
    """Values of a model's metrics, by their outcome or bound where they have one."""
    with urllib.request.urlopen(page(client, "metrics")) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    ours = [family for family in families if family.name.startswith("gmm_dask_")]
    assert all(family.documentation for family in ours)
    found: dict[str, dict[str, float]] = {}
    for sample in (sample for family in ours for sample in family.samples):
        assert set(sample.labels) - {"outcome", "le"} == {"model", "source"}
        if sample.labels["model"] == model:
            last = sample.labels.get("outcome", sample.labels.get("le", ""))
            found.setdefault(sample.name.removeprefix("gmm_dask_"), {})[last] = sample.value
    return found


def test_metrics_of_a_fit_under_way_and_at_its_end(
    client: Client, stored: str, tmp_path: Path
) -> None:
    model = str(tmp_path / "fit")
    began = time.time()
    with Paused(client, stored, f"{model}-2026-11-27", 4, components=3, tol=1e-9, max_iter=8) as p:
        p.told(client, 4)
        found = scraped(client, model)
        names = {family.name for family in FIT}
        assert {name.replace("_seconds_sum", "_seconds") for name in found} >= names
        assert found["running"] == {"": 1}
        assert found["iteration"] == {"": 4}
        assert found["components"] == {"": 3}
        assert found["fits_total"] == dict.fromkeys(OUTCOMES, 0)
        assert found["degenerate_components_total"] == {"": 0}
        moments = ["begun", "checkpoint", "news"]
        when = [found[f"{name}_timestamp_seconds"][""] for name in moments]
        assert began < when[0] < when[1] < when[2] < time.time()
        p.finish()
    assert p.found is not None
    entry = p.found.history[4]
    assert found["mean_log_likelihood"] == {"": entry["mean_log_likelihood"]}
    assert found["change"] == {"": entry["change"]}
    until(lambda: scraped(client, model)["running"][""] == 0)
    after = scraped(client, model)
    assert after["iteration"] == {"": p.found.iterations}
    assert after["fits_total"]["finished"] == 1
    assert after["ended_timestamp_seconds"]["finished"] > when[2]
    passes = after["pass_seconds_count"][""]
    assert passes == p.found.passes + 1  # and the first look
    assert after["rows_total"][""] == passes * 20_000
    assert after["bytes_total"][""] > after["rows_total"][""]


def test_every_outcome_is_counted(client: Client, stored: str, tmp_path: Path) -> None:
    model = str(tmp_path / "ends")
    for problem in (RuntimeError("no"), KeyboardInterrupt()):

        def stop(_: object, problem: BaseException = problem) -> None:
            raise problem

        with pytest.raises(type(problem)):
            fit(stored, 2, client=client, run=model, callbacks=[stop])
    with Client(client.scheduler.address, set_as_default=False) as driver:
        left = telling(engine_of(driver, stored), model, EMSettings())
        left.__enter__()
    fit(stored, Configuration(2, max_iter=2), client=client, run=model, restart=True)
    until(lambda: scraped(client, model)["fits_total"] == dict.fromkeys(OUTCOMES, 1))
    ended = scraped(client, model)["ended_timestamp_seconds"]
    assert ended["failed"] < ended["cancelled"] < ended["lost"] < ended["finished"]
    with pytest.raises(RuntimeError):
        left.__exit__(RuntimeError, RuntimeError(), None)


def test_what_a_refit_decides(client: Client, stored: str, tmp_path: Path) -> None:
    models = str(tmp_path / "models" / "night")
    asked = {"source": stored, "models": models, "mixture": {"components": 2, "max_iter": 3}}
    refit_job(job_from(asked))  # on the client that is open
    until(lambda: "refits_total" in scraped(client, models))
    found = scraped(client, models)
    assert found["refits_total"]["promoted"] == 1
    assert found["fits_total"]["finished"] == 1, "a fit of a refit is one of its model"


def test_old_models_are_forgotten(
    client: Client, listener: Listener, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels do not pile up; of what goes on nothing is forgotten."""
    monkeypatch.setattr(meters, "MOST_MODELS", 5)
    with telling(engine_of(client, stored), "kept", EMSettings()):
        for number in range(8):
            with telling(engine_of(client, stored), f"fit-{number}", EMSettings()):
                pass
        # what is told arrives soon, not at once
        until(lambda: "running" in scraped(client, "fit-7"))
        assert scraped(client, "kept")["running"] == {"": 1}
        assert "running" not in scraped(client, "fit-0")
        assert len(listener.book.meters) == 5


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_are_as_prometheus_wants_them(family: MetricFamily) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.help[0].isupper() or family.help[0].isdigit()
