"""Estimators with scikit-learn's names, shapes and manners, for rows from anywhere."""

from gmm_dask.estimator.bayesian_gaussian_mixture import BayesianGaussianMixture
from gmm_dask.estimator.gaussian_mixture import GaussianMixture

__all__ = ["BayesianGaussianMixture", "GaussianMixture"]
