"""Criteria by their definitions; AIC and BIC also stand beside scikit-learn's."""

import numpy as np
import pytest

from gmm_dask.mixture.criteria import aic, bic, icl
from gmm_dask.mixture.sweep import sweep
from tests.mixture.problems import FAMILY_NAMES, drawn_mixture, drawn_rows


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_definitions(family):
    mixture = drawn_mixture(3, 2, family)
    rows = drawn_rows(200, mixture)
    (statistics,) = sweep(rows, [mixture])
    log_likelihood, p = mixture.log_density(rows).sum(), mixture.parameter_count
    assert aic(mixture, statistics) == pytest.approx(2 * p - 2 * log_likelihood)
    assert bic(mixture, statistics) == pytest.approx(p * np.log(200) - 2 * log_likelihood)
    members = mixture.responsibilities(rows)
    complete = mixture.log_joint(rows)[np.arange(200), members.argmax(axis=1)].sum()
    assert icl(mixture, statistics) == pytest.approx(p * np.log(200) - 2 * complete)


def test_one_component_has_no_doubt():
    mixture = drawn_mixture(1, 2)
    (statistics,) = sweep(drawn_rows(50, mixture), [mixture])
    assert icl(mixture, statistics) == bic(mixture, statistics)
