"""What Prometheus reads: scraped over HTTP, taken apart by its own parser."""

import re
import urllib.request
from pathlib import Path

import pytest
from distributed import Client
from prometheus_client.parser import text_string_to_metric_families

from gmm_dask.dashboard.fits import MOST_FITS
from gmm_dask.dashboard.metrics import METRICS
from gmm_dask.mixture.iteration import Settings
from gmm_dask.telling import telling
from tests.dashboard.running import Paused, engine_of, page
from tests.faults.cluster import until

ALERTS = Path(__file__).parents[2] / "deploy" / "monitoring" / "alerts.yml"


def scraped(client: Client) -> dict[str, dict[str, float]]:
    """Values of our metrics by the run that they are of."""
    with urllib.request.urlopen(page(client, "metrics")) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    ours = [family for family in families if family.name.startswith("gmm_dask_")]
    assert all(family.documentation for family in ours)
    for family in ours:
        assert all(set(sample.labels) == {"run"} for sample in family.samples)
    return {
        sample.name: {each.labels["run"]: each.value for each in family.samples}
        for family in ours
        for sample in family.samples
    }


def test_metrics_of_a_fit_under_way_and_at_its_end(
    client: Client, stored: str, tmp_path: Path
) -> None:
    run = str(tmp_path / "fit")
    with Paused(client, stored, run, 4, components=3, tol=1e-9, max_iter=8) as paused:
        paused.told(client, 4)
        found = scraped(client)
        names = {name.removesuffix("_total") for name in found}
        assert names == {f"gmm_dask_{metric.name}" for metric in METRICS}
        of_run = {name: values[run] for name, values in found.items()}
        assert of_run["gmm_dask_running"] == 1
        assert of_run["gmm_dask_iteration"] == 4
        assert of_run["gmm_dask_components"] == 3
        assert of_run["gmm_dask_rows_per_second"] > 0
        assert of_run["gmm_dask_bytes_per_second"] > of_run["gmm_dask_rows_per_second"]
        assert of_run["gmm_dask_degenerate_components_total"] == 0
        assert 0 <= of_run["gmm_dask_checkpoint_age_seconds"] < 120
        paused.finish()
    assert paused.found is not None
    entry = paused.found.history[4]
    assert of_run["gmm_dask_mean_log_likelihood"] == entry["mean_log_likelihood"]
    assert of_run["gmm_dask_change"] == entry["change"]
    until(lambda: scraped(client)["gmm_dask_running"][run] == 0)
    after = scraped(client)
    assert after["gmm_dask_iteration"][run] == paused.found.iterations


def test_old_fits_are_forgotten(client: Client, stored: str) -> None:
    """Labels do not pile up; of what goes on nothing is forgotten."""
    with telling(engine_of(client, stored), "kept", Settings()):
        for number in range(MOST_FITS + 3):
            with telling(engine_of(client, stored), f"fit-{number}", Settings()):
                pass
        # what is told arrives soon, not at once
        until(lambda: f"fit-{MOST_FITS + 2}" in scraped(client)["gmm_dask_running"])
        runs = set(scraped(client)["gmm_dask_running"])
        assert "kept" in runs
        assert "fit-0" not in runs
        # schedulers of other tests, in this process too, may still show theirs
        assert len({run for run in runs if run == "kept" or run.startswith("fit-")}) <= MOST_FITS


def test_alerts_ask_for_metrics_that_there_are() -> None:
    text = ALERTS.read_text("utf-8")
    asked = set(re.findall(r"gmm_dask_\w+", text))
    told = {f"gmm_dask_{metric.name}" for metric in METRICS}
    assert asked
    assert {name.removesuffix("_total") for name in asked} <= told


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_are_as_prometheus_wants_them(metric: object) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
    assert metric.help[0].isupper() or metric.help[0].isdigit()
