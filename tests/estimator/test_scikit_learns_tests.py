"""scikit-learn's own tests of its class, from the installed release, with ours in its place."""

from functools import partial
from importlib.util import find_spec, module_from_spec

import numpy as np
import pytest
import sklearn.mixture

from gmm_dask import BayesianGaussianMixture, GaussianMixture

LEFT_OUT = {
    "test_gaussian_mixture_array_api_compliance": "arrays of other namespaces are not taken",
    "test_gaussian_mixture_raises_where_array_api_not_implemented": "likewise",
    "test_gaussian_mixture_precisions_init": "calls private methods; ours are in test_given.py",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": "counts private calls",
    "test_gaussian_mixture_precisions_init_diag": "precisions in the order of its own k-means",
    "test_check_weights": "wants the greatest weight told as the least; ours are in test_given.py",
    "test_regularisation": "a degenerate component is lifted to a floor and told, and ends no fit",
    "test_score[float32]": "a mean of float32 densities is summed in float64: theirs is not exact",
    "test_compare_covar_type_of_bayes": "calls private methods; see test_variational.py",
    "test_warm_start": "wants one step twice to be two steps: below, of plain EM",
}
"""What is private, or meant; every other test is run, also those of releases to come."""


def with_ours(module, ours=GaussianMixture):
    """The tests of a module, as if our class were imported by the name of theirs."""
    spec = find_spec(f"sklearn.mixture.tests.{module}")
    tests = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.mixture, "GaussianMixture", ours)
        patch.setattr(sklearn.mixture, "BayesianGaussianMixture", BayesianGaussianMixture)
        spec.loader.exec_module(tests)
    return {name: test for name, test in vars(tests).items() if name.startswith("test_")}


THEIRS = {
    **with_ours("test_gaussian_mixture"),
    **with_ours("test_mixture"),
    **{f"{name}_of_bayes": test for name, test in with_ours("test_bayesian_mixture").items()},
}
globals().update({name: test for name, test in THEIRS.items() if name not in LEFT_OUT})

of_plain_em = with_ours("test_gaussian_mixture", partial(GaussianMixture, accelerate=None))
test_warm_start_of_plain_em = of_plain_em["test_warm_start"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::gmm_dask.mixture.regularisation.RegularisationWarning"),
]


@pytest.fixture(params=[0, 1, 42])
def global_random_seed(request):
    return request.param


@pytest.fixture
def global_dtype(request):
    return request.param


def pytest_generate_tests(metafunc):
    """Both types, but those that are left out."""
    if "global_dtype" in metafunc.fixturenames:
        name = metafunc.function.__name__
        kinds = [k for k in ("float32", "float64") if f"{name}[{k}]" not in LEFT_OUT]
        metafunc.parametrize("global_dtype", [*map(np.dtype, kinds)], ids=kinds, indirect=True)
