"""To scikit-learn and back, bit for bit."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from gmm_dask.store.model import Model
from gmm_dask.store.scikit import from_sklearn, to_sklearn
from tests.store.test_model import FAMILIES, mixture_of, same_mixture


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back_is_identity(family: str) -> None:
    mixture = mixture_of(family)
    assert same_mixture(from_sklearn(to_sklearn(mixture)), mixture)


@pytest.mark.parametrize("family", FAMILIES)
def test_both_score_alike(family: str) -> None:
    mixture = mixture_of(family)
    rows = mixture.sample(200, np.random.default_rng(1))[0]
    fitted = to_sklearn(mixture)
    np.testing.assert_allclose(fitted.score_samples(rows), mixture.log_density(rows), rtol=1e-10)
    np.testing.assert_allclose(
        fitted.predict_proba(rows), mixture.responsibilities(rows), atol=1e-12
    )
    assert np.array_equal(fitted.predict(rows), mixture.labels(rows))
    assert fitted.sample(3)[0].shape == (3, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_scikit_learn_fitted_comes_over(family: str) -> None:
    rows = np.random.default_rng(2).standard_normal((300, 3)) * [1, 2, 3]
    fitted = GaussianMixture(2, covariance_type=family, random_state=0).fit(rows)
    mixture = from_sklearn(fitted)
    np.testing.assert_allclose(mixture.log_density(rows), fitted.score_samples(rows), rtol=1e-10)


def test_names_and_outcome_go_along() -> None:
    provenance = {"reason": "converged: tolerance", "iterations": 7, "mean_log_likelihood": -2.5}
    fitted = to_sklearn(Model(mixture_of("full"), ("a", "b"), provenance))
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert (fitted.converged_, fitted.n_iter_, fitted.lower_bound_) == (True, 7, -2.5)


def test_unfitted_is_refused() -> None:
    with pytest.raises(ValueError, match="is not fitted"):
        from_sklearn(GaussianMixture(2))
