"""Which exit code an exception is, and when its traceback is shown."""

import numpy as np
import pytest

from gmm_dask import ConfigurationError, DataError, GaussianMixture, Mixture, fit, save_model
from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.chunked.sources.protocol import OutageError
from gmm_dask.cli.outcome import code_for, explained
from gmm_dask.cli.signals import Interrupted
from gmm_dask.fitting.starts import GivenParameters
from gmm_dask.mixture.covariance.layouts import OUTER
from gmm_dask.mixture.kernels.choice import PrecisionError
from gmm_dask.mixture.maximisation import maximise
from gmm_dask.mixture.refusals import NotInstalledError, Refusal
from gmm_dask.mixture.regularisation import Regularisation
from gmm_dask.mixture.starts.seeding import squared_distances
from gmm_dask.mixture.statistics import SufficientStatistics
from gmm_dask.mixture.tables import Table
from gmm_dask.report.components import with_columns
from gmm_dask.settings.scores import ScoreOptions
from gmm_dask.store.errors import (
    DamagedError,
    KeyMissingError,
    RunIsBusy,
    StorageError,
    StoreUnavailableError,
)

ONE = Mixture([1], [[0.0]], [[[1.0]]])


def disk_full() -> StorageError:
    error = StorageError("x could not be written")
    error.__cause__ = OSError(28, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (DataError("x"), 2),
        (ConfigurationError("x"), 2),
        (PrecisionError("x"), 2),
        (NotInstalledError("x"), 2),
        (ImportError("cannot import name 'x'"), 1),
        (KeyMissingError("x"), 2),
        (StorageError("a bad name"), 2),
        (disk_full(), 1),
        (DamagedError("x"), 1),
        (StoreUnavailableError("x"), 1),
        (OutageError("x"), 1),
        (ClusterError("x"), 1),
        (RunIsBusy("run", "host", 1), 3),
        (Interrupted(), 130),
        (ValueError("from elsewhere"), 1),
        (ZeroDivisionError(), 1),
    ],
)
def test_codes(problem, code, capsys):
    assert code_for(problem) == code
    assert explained(problem) == code
    told = capsys.readouterr().err
    assert ("ZeroDivisionError" in told) == isinstance(problem, ZeroDivisionError)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: Mixture([1, 1], [[0.0], [1]], [[[1.0]], [[1]]]), "weights"),
        (lambda: ONE.conditional({0: 1.0}), "every feature"),
        (lambda: ONE.log_density([[np.nan]]), "not finite"),
        (lambda: Mixture([1], [[0.0]], [[[0.0]]]), "not positive definite"),
        (lambda: Regularisation(-1), "reg_covar"),
        (lambda: maximise(SufficientStatistics.zero(2, 2, OUTER), "full"), "nothing to fit"),
        (lambda: fit([[1.0], [2]], 1, labels=[0, 3]), "labels must be whole numbers"),
        (lambda: fit([[1.0], [2]], 1, initial=GivenParameters(weights=[2])), "sum to 1"),
        (lambda: GaussianMixture().fit([[1.0], [2]]).sample(0), "at least one"),
        (lambda: ScoreOptions(top=3).check_top(2), "top=3 must lie"),
        (lambda: save_model(ONE, "x", feature_names=[], provenance={}), "0 names"),
    ],
)
def test_what_the_library_refuses_is_bad_input_in_one_sentence(refused, message, capsys):
    with pytest.raises(Refusal, match=message) as problem:
        refused()
    capsys.readouterr()  # what a cluster of other tests, still open, says of it
    assert explained(problem.value) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: squared_distances(np.zeros((2, 3)), np.zeros((2, 4))), "matmul"),
        (lambda: with_columns(Table(("k",), (("0",),), frozenset()), {"n": []}), "zip"),
    ],
)
def test_what_breaks_within_the_library_is_a_fault_with_a_traceback(broken, message, capsys):
    with pytest.raises(ValueError, match=message) as fault:
        broken()
    assert explained(fault.value) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "error: ValueError: " in told
