"""Which exit code an exception is, and when its traceback is shown."""

import pytest

from gmm_dask import ConfigurationError, DataError
from gmm_dask.chunked.faults import ClusterError
from gmm_dask.cli.outcome import code_for, explained
from gmm_dask.cli.signals import Interrupted
from gmm_dask.mixture.kernels import PrecisionError
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.store.errors import DamagedError, KeyMissingError, RunIsBusy, StorageError


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
        (KeyMissingError("x"), 2),
        (StorageError("a bad name"), 2),
        (disk_full(), 1),
        (DamagedError("x"), 1),
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


def test_a_value_refused_by_the_library_is_bad_input_and_a_fault_of_its_own_is_not(capsys):
    with pytest.raises(ValueError, match="weights") as refused:
        Mixture([1, 1], [[0.0], [1]], [[[1.0]], [[1]]])
    assert explained(refused.value) == 2
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(ValueError, match="not enough values") as fault:
        _, _ = iter([1])
    assert explained(fault.value) == 1
    assert "Traceback" in capsys.readouterr().err
