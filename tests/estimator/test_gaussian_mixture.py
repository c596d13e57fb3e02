"""scikit-learn's manners, and rows that it could not take."""

import dask.array as da
import dask.dataframe
import numpy as np
import pandas
import pyarrow
import pytest
import xarray
import zarr
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as Reference
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from gmm_dask import Configuration, GaussianMixture, fit, open_rows, select

CHECKS = [
    (estimator, check)
    for estimator, check in estimator_checks_generator(
        GaussianMixture(max_iter=200, random_state=0)
    )
    if check.func.__name__ != "check_array_api_input"  # scikit-learn's own mixture skips it too
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[check.func.__name__ for _, check in CHECKS]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    return load_iris().data


@pytest.mark.parametrize("family", ["full", "tied", "diag", "spherical"])
def test_attributes_have_scikit_learns_shapes_and_values(iris, family):
    start = {
        "weights_init": np.full(3, 1 / 3),
        "means_init": iris[[0, 70, 140]],
        "tol": 1e-7,
        "max_iter": 500,
        "covariance_type": family,
    }
    reference = Reference(3, **start).fit(iris)
    start["precisions_init"] = reference.precisions_
    reference = Reference(3, **start).fit(iris)
    ours = GaussianMixture(3, accelerate=None, **start).fit(iris)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        mine, theirs = getattr(ours, name), getattr(reference, name)
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
    assert ours.converged_ is True
    assert ours.n_iter_ >= 1
    assert ours.lower_bound_ == pytest.approx(ours.score(iris))
    assert ours.lower_bounds_[-1] == ours.lower_bound_
    assert ours.bic(iris) == pytest.approx(reference.bic(iris), rel=1e-5)
    assert ours.aic(iris) == pytest.approx(reference.aic(iris), rel=1e-5)
    assert np.array_equal(ours.predict(iris), reference.predict(iris))
    np.testing.assert_allclose(ours.predict_proba(iris), reference.predict_proba(iris), atol=5e-3)
    np.testing.assert_allclose(ours.score_samples(iris), reference.score_samples(iris), atol=5e-3)


def test_it_takes_lists_and_frames_and_names_features(iris):
    frame = pandas.DataFrame(iris, columns=list("abcd"))
    ours = GaussianMixture(2, random_state=0).fit(frame)
    assert list(ours.feature_names_in_) == list("abcd")
    assert ours.n_features_in_ == 4
    assert np.array_equal(ours.predict(frame), ours.fit_predict(frame))
    assert GaussianMixture(1).fit([[0.0], [1.0], [2.0]]).means_ == pytest.approx(1)


def test_zarr_and_dask_in_lazy_dask_out(iris, tmp_path):
    zarr.create_array(tmp_path / "iris.zarr", data=iris, chunks=(40, 4))
    lazy = da.from_array(iris, chunks=(40, 2))
    plain = GaussianMixture(3, random_state=0).fit(iris)
    for source in (str(tmp_path / "iris.zarr"), zarr.open_array(tmp_path / "iris.zarr"), lazy):
        ours = GaussianMixture(3, random_state=0).fit(source)
        np.testing.assert_allclose(ours.means_, plain.means_, rtol=1e-10)
        for name in ("predict", "predict_proba", "score_samples"):
            answer = getattr(ours, name)(source)
            assert isinstance(answer, da.Array)
            np.testing.assert_allclose(
                answer.compute(scheduler="synchronous"), getattr(plain, name)(iris), rtol=1e-7
            )
        assert ours.score(source) == pytest.approx(plain.score(iris))
    assert plain.predict(lazy).chunks[0] == lazy.chunks[0]


def test_pipeline_clone_and_parameters(iris):
    model = GaussianMixture(3, covariance_type="diag", random_state=4, accelerate="squarem")
    assert clone(model).get_params() == model.get_params()
    pipeline = make_pipeline(StandardScaler(), model).set_output(transform="pandas")
    labels = pipeline.fit_predict(iris)
    assert len(np.unique(labels)) == 3
    assert pipeline.score(iris) == pytest.approx(model.lower_bound_)


def test_warm_start_goes_on(iris):
    model = GaussianMixture(3, tol=0, max_iter=3, warm_start=True, random_state=0, accelerate=None)
    with pytest.warns(ConvergenceWarning, match="did not converge.* 3 iterations are done"):
        first = model.fit(iris).lower_bound_
    with pytest.warns(ConvergenceWarning):
        assert model.fit(iris).lower_bounds_[0] == pytest.approx(first)


def test_weights_and_labels_and_checkpoints(iris, tmp_path):
    labels = np.repeat([0, 1, 2], 50)
    model = GaussianMixture(3, labels_init=labels, checkpoint=tmp_path / "run", random_state=0)
    weights = np.ones(150)
    weights[:50] = 0.5
    model.fit(iris, sample_weight=weights)
    assert (tmp_path / "run" / "model.zarr").exists()
    assert model.weights_.sum() == pytest.approx(1)
    assert model.fit_.statistics.weight == 125


def test_samples_follow_the_mixture(iris):
    model = GaussianMixture(3, random_state=1).fit(iris)
    rows, labels = model.sample(20_000)
    np.testing.assert_allclose(rows.mean(axis=0), model.mixture_.mean, atol=0.05)
    np.testing.assert_allclose(np.bincount(labels) / 20_000, model.weights_, atol=0.02)
    assert (np.diff(labels) >= 0).all()


def test_before_fit_it_says_so(iris):
    model = GaussianMixture(2)
    with pytest.raises(NotFittedError):
        model.predict(iris)
    assert not hasattr(model, "weights_")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"covariance_type": "round"}, "covariance_type"),
        ({"accelerate": "warp"}, "accelerate"),
        ({"weights_init": [0.5, 0.6]}, "The parameter 'weights' should be normalized"),
        ({"means_init": np.zeros((3, 4))}, "The parameter 'means'"),
    ],
)
def test_bad_parameters_are_named(iris, parameters, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**({"n_components": 2} | parameters)).fit(iris)


def test_a_notebook_shows_parameters_and_components(iris):
    model = GaussianMixture(3, random_state=0)
    assert "n_components" in model._repr_mimebundle_()["text/html"]
    shown = model.fit(iris)._repr_mimebundle_()["text/html"]
    assert "converged" in shown
    assert f"{model.weights_[0]:.2f}" in shown


@pytest.fixture
def frame(iris):
    return pandas.DataFrame(iris, columns=list("abcd"), index=np.arange(150)[::-1] * 3)


def named_sources(frame, folder):
    """The same rows from everywhere where features have names."""
    values, names = frame.to_numpy(), list(frame.columns)
    order = "".join(names)
    attributes = {"feature_names": names}
    zarr.create_array(folder / f"{order}.zarr", data=values, chunks=(40, 4), attributes=attributes)
    labelled = xarray.DataArray(values, dims=("row", "feature"), coords={"feature": names})
    return {
        "zarr": str(folder / f"{order}.zarr"),
        "rows": open_rows(folder / f"{order}.zarr"),
        "xarray": labelled,
        "dataset": labelled.to_dataset("feature"),
        "pandas": frame,
        "dask": dask.dataframe.from_pandas(frame, npartitions=3),
        "arrow": pyarrow.Table.from_pandas(frame, preserve_index=False),
    }


@pytest.mark.parametrize("kind", ["zarr", "rows", "xarray", "dataset", "pandas", "dask", "arrow"])
def test_features_are_known_by_name_wherever_they_come_from(frame, tmp_path, kind):
    fitted_to, reversed_ones = (
        named_sources(one, tmp_path) for one in (frame, frame[list("dcba")])
    )
    model = GaussianMixture(3, random_state=0).fit(fitted_to[kind])
    assert list(model.feature_names_in_) == list("abcd")
    assert model.fit_.feature_names == tuple("abcd")
    for other, source in reversed_ones.items():
        for ask in (model.predict, model.predict_proba, model.score_samples, model.score):
            with pytest.raises(ValueError, match="feature"):
                ask(source)
        assert model.score(fitted_to[other]) == pytest.approx(model.lower_bound_)
        with pytest.raises(ValueError, match="feature"):
            model.set_params(warm_start=True).fit(source)
    assert list(model.feature_names_in_) == list("abcd")


def test_features_without_names_are_told_by_their_order(iris, tmp_path):
    zarr.create_array(tmp_path / "iris.zarr", data=iris, chunks=(40, 4))
    model = GaussianMixture(2, random_state=0).fit(str(tmp_path / "iris.zarr"))
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 4
    assert model.score(iris) == pytest.approx(model.lower_bound_)
    named = model.fit(pandas.DataFrame(iris, columns=list("abcd")))
    assert named.score(str(tmp_path / "iris.zarr")) == pytest.approx(named.lower_bound_)
    assert not hasattr(model.fit(str(tmp_path / "iris.zarr")), "feature_names_in_")


def test_rows_that_are_open_are_fitted_with_their_weights(iris):
    weights = np.arange(150.0)
    model = GaussianMixture(2, random_state=0)
    opened = model.fit(open_rows(iris, weights=weights)).means_
    np.testing.assert_array_equal(opened, model.fit(iris, sample_weight=weights).means_)
    with pytest.raises(ValueError, match=r"open them with open_rows\(…, weights=…\)"):
        model.fit(open_rows(iris), sample_weight=weights)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of Dask, by the newest pandas
@pytest.mark.parametrize("kind", ["pandas", "filtered", "parquet"])
def test_predictions_of_a_dask_frame_are_columns_of_it(frame, tmp_path, kind):
    model = GaussianMixture(3, random_state=0).fit(frame)
    lazy = dask.dataframe.from_pandas(frame.assign(e="text"), npartitions=4)
    if kind == "parquet":  # several files are read at once where few columns are wanted
        lazy.to_parquet(tmp_path / "frame")
        lazy = dask.dataframe.read_parquet(tmp_path / "frame")
    lazy = lazy[list("abcd")]
    if kind == "filtered":
        lazy = lazy[lazy.a > 5.5]
    told = lazy.assign(c=model.predict(lazy), p=model.score_samples(lazy))
    told, here = told.compute(scheduler="threads"), lazy.compute(scheduler="threads")
    assert (told.index == here.index).all()
    np.testing.assert_array_equal(told.c, model.predict(here))
    np.testing.assert_allclose(told.p, model.score_samples(here))
    shares = model.predict_proba(lazy).compute(scheduler="threads")
    np.testing.assert_allclose(shares, model.predict_proba(here))
    assert (shares.index == here.index).all()


def test_a_row_of_a_dask_frame_that_is_not_finite_is_named(frame):
    model = GaussianMixture(3, random_state=0).fit(frame)
    frame.loc[333, "b"] = np.nan
    with pytest.raises(ValueError, match="the row of index 333 has nan as feature 1"):
        model.predict(dask.dataframe.from_pandas(frame, npartitions=3)).compute(scheduler="threads")


@pytest.mark.parametrize("family", ["full", "tied"])
def test_a_table_on_its_side_is_refused_before_memory_is_gone(family):
    lying = np.zeros((12, 250_000))
    sentence = r"12 rows and 250000 features.*pass its transpose, 250000 × 12"
    with pytest.raises(ValueError, match=sentence):
        GaussianMixture(2, covariance_type=family).fit(lying)
    with pytest.raises(ValueError, match=sentence):
        fit(lying, Configuration(2, family))
    with pytest.raises(ValueError, match=sentence):
        select(lying, [1, 2], family)


def test_more_features_than_rows_are_told_of(caplog):
    fit(np.random.default_rng(0).normal(size=(12, 20)), Configuration(1, max_iter=1))
    assert "12 rows and 20 features: if its features lie down" in caplog.text
