"""Estimators with scikit-learn's names, shapes and manners, for rows from anywhere."""

from gmm_dask.estimator.gaussian_mixture import GaussianMixture

__all__ = ["GaussianMixture"]
