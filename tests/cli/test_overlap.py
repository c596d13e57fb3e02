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


def test_agreement_of_models_on_the_same_rows(workplace):
    models = ("runs/b", "runs/b/model.zarr", "b.zarr/truth")
    told = workplace("agreement", "b.zarr", *models).well()
    assert len(told.out.splitlines()) == 5
    pairs = workplace("agreement", "b.zarr", *models, "--json").well().json["pairs"]
    assert pairs[0]["adjusted_rand"] == 1
    assert pairs[1]["table"] == pairs[2]["table"]
    assert "two mixtures at least" in workplace("agreement", "b.zarr", "runs/b").refused()
