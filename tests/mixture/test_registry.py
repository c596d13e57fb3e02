"""What is chosen by name: known at once, and imported when it is asked for."""

import subprocess
import sys

import pytest

from gmm_dask.mixture.acceleration import ACCELERATIONS
from gmm_dask.mixture.covariance import FAMILIES
from gmm_dask.mixture.criteria import CRITERIA
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.mixture.registry import Registry
from gmm_dask.mixture.starts import METHODS

NAMES = """
import sys
from gmm_dask.mixture.acceleration import acceleration_names
from gmm_dask.mixture.covariance import family_names
from gmm_dask.mixture.criteria import CRITERIA
from gmm_dask.mixture.kernels import ARITHMETICS
from gmm_dask.mixture.regularisation import POLICIES
from gmm_dask.mixture.starts import method_names
print(*family_names(), *acceleration_names(), *method_names(), *CRITERIA, *POLICIES, *ARITHMETICS)
assert "numpy" not in sys.modules
"""


def test_names_are_known_without_numpy():
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:4] == ["full", "tied", "diag", "spherical"]


@pytest.mark.parametrize("registry", [ACCELERATIONS, CRITERIA, FAMILIES, METHODS])
def test_every_name_stands_for_something(registry):
    assert all(registry[name] is not None for name in registry)


def test_things_are_registered_by_place_or_as_they_are():
    registry: Registry[object] = Registry("thing", {"pi": "math:pi"})
    registry.register("two", 2)
    assert dict(registry) == {"pi": 3.141592653589793, "two": 2}
    with pytest.raises(Refusal, match="unknown thing 'e': choose one of pi, two"):
        registry.named("e")
