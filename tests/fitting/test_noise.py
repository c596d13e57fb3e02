"""Fits with noise, the whole way: as if the background were not there; kept, resumed, scored."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from gmm_dask import (
    Configuration,
    ConfigurationError,
    GaussianMixture,
    agreement,
    fit,
    open_rows,
    overlap,
    plots,
    select,
)
from gmm_dask.fitting.journal import iteration_line
from gmm_dask.fitting.verification import verify_fit
from gmm_dask.mixture.matching import matched
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.models.model import load_model
from gmm_dask.plots.colours import NOISE_GREY
from gmm_dask.report import write_report
from gmm_dask.runs.inspection import inspect
from gmm_dask.scoring.lazy import labels as lazy_labels
from gmm_dask.scoring.lazy import responsibilities as lazy_responsibilities
from gmm_dask.scoring.score import score
from gmm_dask.settings import toml
from gmm_dask.settings.job import Job, job_from
from gmm_dask.store.errors import RunDiffersError
from tests.chunked.conftest import local_cluster

TRUTH = Mixture(
    [0.5, 0.3, 0.2],
    [[0, 0], [6, 3], [-5, 4]],
    [[[1.0, 0.6], [0.6, 0.8]], [[0.3, 0.0], [0.0, 1.2]], [[0.5, -0.2], [-0.2, 0.4]]],
)


def rows_with(background: int, size: int = 9000, reach: float = 30.0) -> np.ndarray:
    random = np.random.default_rng(11)
    rows = TRUTH.sample(size, random)[0]
    uniform = random.uniform(-reach, reach, (background, 2))
    return random.permutation(np.concatenate([rows, uniform]))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return rows_with(1000)


def furthest(found: Mixture) -> float:
    """From the truth, in standard deviations of a component."""
    pairs = matched(found, TRUTH)
    return max(max(pair.mean, pair.deviation) for pair in pairs)


@pytest.mark.parametrize("init", ["kmeans", "split-and-merge"])
@pytest.mark.parametrize("noise", [True, 1 / 3600])
def test_background_is_as_if_it_were_not_there(rows, noise, init):
    asked = {"tol": 1e-7, "init": init}
    found = fit(rows, Configuration(3, noise=noise, **asked))
    assert furthest(found.mixture) < 0.08  # σ/√1800 is 0.024
    assert found.mixture.noise.weight == pytest.approx(0.1, abs=0.01)
    np.testing.assert_allclose(
        np.sort(found.mixture.gaussians.weights), np.sort(TRUTH.weights), atol=0.02
    )
    plain = fit(rows, Configuration(3, n_init=10, **asked))
    assert furthest(plain.mixture) > 1
    assert found.bic < plain.bic


def test_where_there_is_none_it_weighs_nothing():
    clean = rows_with(0)
    with_noise, plain = (
        fit(clean, Configuration(3, noise=noise, tol=1e-7)) for noise in (True, None)
    )
    assert with_noise.mixture.noise.weight < 0.01
    assert furthest(with_noise.mixture) < 0.08
    assert plain.bic < with_noise.bic


class Interrupted(BaseException):
    """As Ctrl-C."""


def interrupt_at(iteration: int):
    def tell(progress):
        if progress.state.iteration == iteration:
            raise Interrupted

    return tell


def bits(mixture: Mixture) -> tuple[bytes, ...]:
    arrays = mixture.weights, mixture.means, mixture.covariances, *mixture.noise_told
    return tuple(array.tobytes() for array in arrays)


@pytest.mark.parametrize("accelerate", [None, "auto"])
@pytest.mark.parametrize(("family", "prior"), [("full", None), ("tied", "default"), ("VEV", None)])
def test_killed_and_resumed_it_ends_with_the_same_bits(rows, tmp_path, family, prior, accelerate):
    asked = Configuration(
        4, family, init="random_from_data", tol=0, max_iter=14, noise=True,
        accelerate=accelerate, prior=prior,
    )  # fmt: skip
    whole, run = fit(rows, asked), tmp_path / "run"
    for at in (1, 6, 11):
        with pytest.raises(Interrupted):
            fit(rows, asked, run=run, callbacks=[interrupt_at(at)])
    without = replace(asked, noise=None)
    with pytest.raises(RunDiffersError, match="noise"):
        fit(rows, without, run=run)
    resumed = fit(rows, asked, run=run)
    assert bits(resumed.mixture) == bits(whole.mixture)
    assert resumed.statistics.noise.counts == whole.statistics.noise.counts
    assert bits(load_model(run / "model.zarr").mixture) == bits(whole.mixture)
    assert load_model(run / "model.zarr").mixture.noise.box.shape == (2, 2)


def test_workers_find_the_same_bits(rows, tmp_path):
    zarr.create_array(tmp_path / "rows.zarr", data=rows, chunks=(700, 2))
    opened, asked = open_rows(tmp_path / "rows.zarr"), Configuration(3, noise=True, max_iter=8)
    alone = fit(opened, asked)
    with local_cluster(2) as client:
        together = fit(opened, asked, client=client)
    assert bits(together.mixture) == bits(alone.mixture)


def test_a_model_is_verified_and_told_of(rows, tmp_path):
    fit(rows, Configuration(3, noise=True, tol=1e-8), run=tmp_path / "run")
    model = load_model(tmp_path / "run" / "model.zarr")
    assert all(identity.holds for identity in verify_fit(model, open_rows(rows)))
    inspection = inspect(tmp_path / "run")
    assert "3 components and noise" in inspection.described()
    values = json.loads(json.dumps(inspection.values()))["mixture"]
    assert values["noise"]["weight"] + sum(values["weights"]) == pytest.approx(1)
    told = [entry["noise"] for entry in inspection.history]
    assert told[-1] == model.mixture.noise.weight
    assert len(set(told)) == len(told)
    assert f", noise {told[-1]:.2%}, " in iteration_line(inspection.history[-1])
    report = Path(write_report(str(tmp_path / "run"))).read_text()
    assert "3 and noise" in report
    assert "FAILS" not in report


def test_pictures_show_it_in_grey_and_what_has_no_place_not_at_all(rows):
    mixture = fit(rows, Configuration(3, noise=True)).mixture
    placeless = mixture.beside(replace(mixture.noise, box=None))
    grey = to_rgba(NOISE_GREY)
    for one in (mixture, placeless):
        figure = Figure()
        bars, points, curve = figure.subplots(1, 3)
        plots.weights(one, bars)
        assert [text.get_text() for text in bars.get_xticklabels()] == ["0", "1", "2", "noise"]
        assert bars.patches[-1].get_facecolor() == grey
        assert bars.patches[-1].get_height() == pytest.approx(one.noise.weight)
        plots.scatter(one, rows, ax=points)
        colours = points.collections[0].get_facecolors()[:, :3]
        assert np.array_equal((colours == grey[:3]).all(axis=1), one.labels(rows) == -1)
        plots.density(one, rows, ax=curve)
        x, total = curve.lines[-1].get_data()
        far = total[np.argmin(np.abs(x - 25))]
        expected = one.noise.weight / 60 if one is mixture else 0.0
        assert far == pytest.approx(expected, rel=0.02, abs=1e-9)


def test_scores_have_noise_last(rows, tmp_path):
    mixture = fit(rows, Configuration(3, noise=True)).mixture
    written = ("labels", "probabilities", "log_density")
    done = score(mixture, rows, tmp_path / "s", write=written)
    group = zarr.open_group(tmp_path / "s", mode="r")
    labels, posteriors = group["labels"][:], group["probabilities"][:]
    assert posteriors.shape == (len(rows), 4)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    assert np.array_equal(labels == -1, posteriors.argmax(axis=1) == 3)
    assert done.shares[-1] == pytest.approx((labels == -1).mean())
    assert np.array_equal(labels, mixture.labels(rows))
    np.testing.assert_array_equal(group["log_density"][:], mixture.log_density(rows))
    np.testing.assert_array_equal(lazy_labels(rows, mixture).compute(), labels)
    lazy = lazy_responsibilities(rows, mixture)
    assert lazy.shape == (len(rows), 4)
    np.testing.assert_array_equal(lazy.compute(), posteriors)
    score(mixture, rows, tmp_path / "top", write=("labels", "probabilities"), top=2)
    top = zarr.open_group(tmp_path / "top", mode="r")["top_components"][:]
    assert np.array_equal(top[:, 0], labels)


def test_the_best_number_of_components_beside_noise(rows):
    found = select(rows, range(1, 6), noise=True, tol=1e-6)
    assert found.best.mixture.components == 3
    assert found.best.mixture.noise.weight == pytest.approx(0.1, abs=0.01)
    assert len(found.table) == 5
    assert found.table[0].parameters == 3 - 1 + 6 + 9 + 2


def test_the_estimator_has_it(rows):
    found = GaussianMixture(3, noise=True, random_state=0).fit(rows)
    assert found.get_params()["noise"] is True
    assert found.predict_proba(rows).shape == (len(rows), 4)
    assert set(found.predict(rows)) == {-1, 0, 1, 2}
    assert found.score(rows) == pytest.approx(found.score_samples(rows).mean())
    labels = found.sample(500)[1]
    assert set(labels) == {-1, 0, 1, 2}
    assert np.array_equal(labels, np.sort(labels))
    assert found._n_parameters() == 19
    again = found.set_params(warm_start=True, tol=1e-6).fit(rows)
    assert again.mixture_.noise.weight == pytest.approx(0.1, abs=0.01)
    by_volume = GaussianMixture(3, noise=1 / 3600, random_state=0).fit(rows)
    assert by_volume.mixture_.noise.box is None
    with pytest.raises(ValueError, match="noise"):
        GaussianMixture(3, noise=-1.0).fit(rows)


def test_a_file_says_it_as_text_as_a_number_or_as_true():
    for written, meant in (('"box"', "box"), ("true", "box"), ("0.25", "0.25"), ("false", None)):
        text = f'source = "x.zarr"\n[mixture]\ncomponents = 2\nnoise = {written}\n'
        job = job_from(toml.read(text, Job, "job.toml"))
        assert job.mixture.noise == meant
        assert tomllib.loads(job.as_toml())["mixture"].get("noise") == meant


def test_labels_and_given_mixtures_are_starts_beside_it(rows):
    known = np.argmin(((rows[:, None] - TRUTH.means) ** 2).sum(axis=2), axis=1)
    for start in ({"labels": known}, {"initial": TRUTH}):
        found = fit(rows, Configuration(3, noise=True, tol=1e-7), **start)
        assert furthest(found.mixture) < 0.08
    asked = Configuration(3, noise=True, tol=1e-7)
    warm = fit(rows, asked, initial=found.mixture)
    assert warm.iterations <= 1
    with pytest.raises(ConfigurationError, match="initial mixture has noise"):
        fit(rows, Configuration(3), initial=found.mixture)


def test_labels_may_say_which_rows_are_noise(rows, tmp_path):
    known = np.where(np.abs(rows).max(axis=1) > 12, -1, TRUTH.labels(rows)).astype(np.int8)
    first = fit(rows, Configuration(3, noise=True, max_iter=0), labels=known).mixture
    assert first.noise.weight == pytest.approx((known == -1).mean())
    for k in range(3):
        np.testing.assert_allclose(first.means[k], rows[known == k].mean(axis=0))
    share = (known == 0).mean()
    assert first.weights[0] == pytest.approx(share)
    zarr.create_array(tmp_path / "rows", data=rows)
    zarr.create_array(tmp_path / "labels", data=known)
    opened = {"labels": tmp_path / "labels"}
    again = fit(tmp_path / "rows", Configuration(3, noise=True, max_iter=0), **opened).mixture
    np.testing.assert_allclose(again.weights, first.weights)
    with pytest.raises(Refusal, match="from 0 to 2"):
        fit(rows, Configuration(3), labels=known)


def test_a_volume_of_zero_is_refused_before_an_iteration(rows):
    flat = np.column_stack([rows, np.full(len(rows), 3.0)])
    told = []
    with pytest.raises(Refusal, match="x2 has one value only"):
        fit(flat, Configuration(2, noise=True), callbacks=[told.append])
    assert not told
    with pytest.raises(Refusal, match="inverse of its volume"):
        Configuration(2, noise=0.0)
    with pytest.raises(ConfigurationError, match="knows no noise"):
        Configuration(2, noise=True, method="variational")


def test_what_was_begun_without_it_goes_on():
    assert "noise" not in Configuration(3).identity()
    assert Configuration(3, noise=True).identity()["noise"] == "box"


def test_noise_is_no_cluster_and_no_component_to_merge(rows):
    mixture = fit(rows, Configuration(4, noise=True)).mixture
    found = overlap(mixture, rows)
    posteriors = mixture.responsibilities(rows)
    np.testing.assert_allclose(found.sums.counts, posteriors[:, :4].sum(axis=0), rtol=1e-9)
    merged = found.merged(3)
    shares = merged.responsibilities(rows)
    assert shares.shape == (len(rows), 4)
    np.testing.assert_allclose(shares[:, -1], posteriors[:, -1])
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert np.array_equal(merged.labels(rows) == -1, shares.argmax(axis=1) == 3)
    np.testing.assert_allclose(
        np.logaddexp.reduce(merged.log_joint(rows), axis=1), mixture.log_density(rows)
    )
    table = agreement(mixture, merged, rows).table
    assert table.shape == (5, 4)
    assert table[4].sum() == (mixture.labels(rows) == -1).sum()
