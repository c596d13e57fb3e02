"""What was found of components is kept beside the run's model, and told from that of another."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gmm_dask import Configuration, Mixture, fit, load_overlap, overlap
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.report import write_report
from gmm_dask.runs.layout import OVERLAP
from gmm_dask.scoring.kept_overlap import keep_overlap, overlap_in
from gmm_dask.store.errors import DamagedError, KeyMissingError, UnknownFormatError
from gmm_dask.store.sealed import seal, unseal

ROWS = np.random.default_rng(0).normal(size=(900, 2)) + np.repeat(
    [[0.0], [2.0], [9.0]], 300, axis=0
)


@pytest.fixture
def run(tmp_path):
    """A finished run, its fit and its overlap, which is not kept yet."""
    found = fit(ROWS, Configuration(3, max_iter=5), run=tmp_path / "run")
    return tmp_path / "run", found, overlap(found, ROWS)


def test_what_is_kept_is_what_was_found(run):
    place, found, apart = run
    assert overlap_in(place, found.mixture) is None
    keep_overlap(place, apart)
    again = overlap_in(place, found.mixture)
    assert again.values() == apart.values()
    assert again.merged(2).cluster_of == apart.merged(2).cluster_of


def test_a_run_keeps_it_where_it_is_named(run):
    place, found, apart = run
    with pytest.raises(KeyMissingError, match="is not known: first `gmm-dask overlap"):
        load_overlap(place)
    overlap(found, ROWS, run=place)
    assert load_overlap(place).values() == apart.values()


def test_a_fit_that_was_asked_says_its_clusters(run):
    place, found, apart = run
    with pytest.raises(Refusal, match="is not known of this fit: fit with overlap=True"):
        found.merged(2)
    asked = Configuration(3, max_iter=5)
    again = fit(ROWS, asked, run=place, overlap=True)
    assert again.merged(2).cluster_of == apart.merged(2).cluster_of
    assert load_overlap(place).values() == again.overlap.values() == apart.values()
    keep_overlap(place, replace(apart, trees={"entropy": apart.tree()}))
    assert list(fit(ROWS, asked, run=place, overlap=True).overlap.trees) == ["entropy"]
    alone = fit(ROWS, asked, overlap=True)
    np.testing.assert_array_equal(alone.merged(2).labels(ROWS), again.merged(2).labels(ROWS))


def test_that_of_another_mixture_is_none(run):
    place, found, apart = run
    keep_overlap(place, apart)
    mixture = found.mixture
    other = Mixture(mixture.weights, mixture.means + 1e-9, mixture.covariances, mixture.family)
    assert overlap_in(place, other) is None


def test_damage_and_formats_to_come_are_refused(run):
    place, found, apart = run
    keep_overlap(place, apart)
    file = place / OVERLAP
    kept = file.read_bytes()
    file.write_bytes(seal({**unseal(kept, OVERLAP), "format_version": 2}))
    with pytest.raises(UnknownFormatError, match="format version 2"):
        overlap_in(place, found.mixture)
    file.write_bytes(kept.replace(b"1", b"2", 1))
    with pytest.raises(DamagedError):
        overlap_in(place, found.mixture)


def test_the_report_shows_it_once_it_is_kept(run):
    place, _, apart = run
    assert "Clusters of components" not in page_of(place)
    keep_overlap(place, apart)
    told = page_of(place)
    assert "Clusters of components" in told
    assert f"By entropy, {apart.tree().suggested} of 3 components" in told
    assert "merged by misclassification" in told


def page_of(run):
    """Its report."""
    return Path(write_report(run)).read_text("utf-8")
