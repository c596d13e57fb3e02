"""Which components belong together, and how far models agree, from a shell."""

import numpy as np
import pytest
import zarr


def test_overlap_says_what_to_merge(workplace):
    told = workplace("overlap", "runs/b", "b.zarr").well()
    assert "merged by entropy" in told.out
    assert "suggested: " in told.out
    values = workplace("overlap", "runs/b", "b.zarr", "--json").well().json
    assert values["weight"] == pytest.approx(6000)
    assert [len(tree["merges"]) for tree in values["trees"].values()] == [2, 2]
    assert values["trees"]["entropy"]["entropies"][0] == 0
    assert "Clusters of components" in (workplace.folder / values["report"]).read_text("utf-8")
    assert (workplace.folder / values["overlap"]).name == "overlap.json"
    assert (workplace.folder / values["overlap"]).exists()
    suggested = {rule: tree["suggested"] for rule, tree in values["trees"].items()}
    assert workplace("show", "runs/b", "--json").well().json["clusters"] == suggested
    assert f"{suggested['entropy']} by entropy, " in workplace("show", "runs/b").well().out
    assert "clusters" not in workplace("show", "runs/b/model.zarr", "--json").well().json


def test_rows_are_labelled_with_clusters(workplace):
    arguments = ["score", "runs/b", "b.zarr", "--out", "clusters.zarr", "--clusters", 2]
    refused = workplace(*arguments[:1], "b.zarr/truth", *arguments[2:]).refused()
    assert "is not known: first `gmm-dask overlap b.zarr/truth SOURCE`" in refused
    workplace("overlap", "runs/b", "b.zarr").well()
    told = workplace(*arguments, "--by", "misclassification").well()
    assert "share of each cluster: 0: " in told.out
    labels = zarr.open_group(workplace.folder / "clusters.zarr", mode="r")["labels"]
    assert set(np.unique(labels[:])) == {0, 1}
    assert "make up 1 to 3 clusters" in workplace(*arguments[:-1], 7).refused()


def test_rows_are_those_of_the_fit_where_none_are_named(workplace):
    whole = workplace("overlap", "runs/b", "--json").well().json
    assert whole["weight"] == pytest.approx(6000)
    some = workplace("overlap", "runs/b", "--last-row", 1000, "--json").well().json
    assert some["weight"] == pytest.approx(1000)
    refused = workplace("overlap", "b.zarr/truth").refused()
    assert "does not say where its rows lie: give SOURCE" in refused


def test_a_fit_that_is_asked_for_it_keeps_the_overlap(workplace):
    shell = workplace
    (shell.folder / "asked.toml").write_text(
        'source = "b.zarr"\nrun = "runs/asked"\noverlap = true\n[mixture]\ncomponents = 3\n'
    )
    report = shell.folder / "runs/asked/report.html"
    shell("fit", "--config", "asked.toml", "--no-overlap").well()
    assert "Clusters of components" not in report.read_text("utf-8")
    shell("fit", "--config", "asked.toml").well()
    assert "Clusters of components" in report.read_text("utf-8")
    kept = shell.folder / "runs/asked/overlap.json"
    written = kept.stat().st_mtime_ns
    shell("fit", "--config", "runs/asked").well()
    assert kept.stat().st_mtime_ns == written


def test_agreement_of_models_on_the_same_rows(workplace):
    models = ("runs/b", "runs/b/model.zarr", "b.zarr/truth")
    told = workplace("agreement", "b.zarr", *models).well()
    assert len(told.out.splitlines()) == 5
    pairs = workplace("agreement", "b.zarr", *models, "--json").well().json["pairs"]
    assert pairs[0]["adjusted_rand"] == 1
    assert pairs[1]["table"] == pairs[2]["table"]
    assert "two mixtures at least" in workplace("agreement", "b.zarr", "runs/b").refused()


def test_labels_that_are_known_are_one_more_to_compare(workplace):
    told = workplace("agreement", "b.zarr", "runs/b", "--labels", "labels", "--json").well().json
    (pair,) = told["pairs"]
    assert pair["other"] == "labels"
    assert pair["matched"] > 0.9
    refused = workplace("agreement", "b.zarr", "runs/b", "--labels", "rows").refused()
    assert "have 3 columns" in refused
