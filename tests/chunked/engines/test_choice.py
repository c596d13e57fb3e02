"""Fits within tasks of Dask, one on every thread: each ends, with the same bits."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask.array
import joblib
import numpy as np
import pytest
from distributed import Client, get_client, worker_client
from distributed.threadpoolexecutor import thread_state
from sklearn.model_selection import GridSearchCV

from gmm_dask import Configuration, GaussianMixture, Mixture, evaluate, fit
from tests.chunked.conftest import local_cluster

pytestmark = [pytest.mark.timeout(90), pytest.mark.timed]

CONFIGURATION = Configuration(2, tol=0, max_iter=3)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.normal(size=(3000, 2)) + 4 * draw.integers(2, size=(3000, 1))


def bits(mixture: Mixture) -> bytes:
    return mixture.means.tobytes() + mixture.covariances.tobytes()


def alone(rows: Any, seed: int) -> bytes:
    """The least case: the worker's client is open when the fit begins."""
    get_client()
    return bits(fit(rows, Configuration(2, tol=0, max_iter=3, seed=seed)).mixture)


def together(rows: Any, seed: int) -> bytes:
    result = fit(rows, Configuration(2, tol=0, max_iter=3, seed=seed), client=get_client())
    assert thread_state.proceed, "back among the worker's threads"
    return bits(result.mixture)


def left(rows: Any, seed: int) -> bytes:
    with worker_client():
        return bits(fit(rows, Configuration(2, tol=0, max_iter=3, seed=seed)).mixture)


def in_threads(rows: Any, seed: int) -> bytes:
    """In threads of the task's own, for which it waits."""
    get_client()
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: alone_here(rows, seed), range(2))
    assert one == other
    return one


def alone_here(rows: Any, seed: int) -> bytes:
    return bits(fit(rows, Configuration(2, tol=0, max_iter=3, seed=seed)).mixture)


@pytest.mark.parametrize("task", [alone, together, left, in_threads])
def test_fits_in_tasks_on_every_thread(client: Client, rows: np.ndarray, task: Any) -> None:
    results = client.gather(client.map(task, [rows] * 6, range(6), pure=False))
    assert results == [alone_here(rows, seed) for seed in range(6)]


def test_a_dask_array_within_tasks_is_the_clusters(client: Client, rows: np.ndarray) -> None:
    held = client.persist(dask.array.from_array(rows, chunks=(1000, 2)))
    results = client.gather(client.map(alone, [held] * 4, range(4), pure=False))
    assert results == [alone_here(held, seed) for seed in range(4)]


def evaluated(rows: Any, mixture: Mixture) -> float:
    get_client()
    return evaluate(rows, mixture).mean_log_likelihood


def test_other_passes_within_tasks(client: Client, rows: np.ndarray) -> None:
    result = fit(rows, CONFIGURATION, client=client)
    likelihoods = client.gather(client.map(evaluated, [rows] * 4, [result.mixture] * 4, pure=False))
    assert likelihoods == [result.mean_log_likelihood] * 4


@pytest.mark.parametrize("processes", [True, False])
def test_a_grid_is_searched_by_joblib_on_dask(rows: np.ndarray, processes: bool) -> None:
    grid = {"n_components": [1, 2, 3], "covariance_type": ["full", "diag"]}
    search = GridSearchCV(GaussianMixture(random_state=0), grid, cv=3)
    with (
        local_cluster(2, processes=processes, protocol="tcp"),
        joblib.parallel_config(backend="dask"),
    ):
        search.fit(rows)
    here = GridSearchCV(GaussianMixture(random_state=0), grid, cv=3).fit(rows)
    assert search.best_params_["n_components"] == 2
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
    )
