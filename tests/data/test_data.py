"""The small real data are what data/README.md says, and their known optima are found."""

import re
from pathlib import Path

import numpy as np
import pytest

from gmm_dask import Configuration, fit

DATA = Path(__file__).parents[2] / "data"
README = (DATA / "README.md").read_text("utf-8")


def table(name: str) -> np.ndarray:
    return np.loadtxt(DATA / name, delimiter=",", skiprows=1, ndmin=2)


def test_every_file_is_described_and_has_the_rows_that_are_told():
    described = dict(re.findall(r"^\| `([\w.-]+\.csv)` \| ([\d,]+ × \d+)", README, re.MULTILINE))
    assert set(described) == {path.name for path in DATA.glob("*.csv")}
    for name, told in described.items():
        rows, columns = table(name).shape
        extra = {"iris.csv": 1}.get(name, 0)
        assert told == f"{rows:,} × {columns - extra}"


def test_every_table_has_a_source_and_a_licence():
    sections = re.split(r"^## ", README, flags=re.MULTILINE)[1:]
    assert len(sections) == 4
    for section in sections:
        assert "Source:" in section
        assert re.search(r"licence|CC BY|BSD", section)
        assert "gmm-dask data import" in section


@pytest.mark.parametrize(
    ("name", "features", "components", "log_likelihood"),
    [("faithful.csv", 2, 2, -1130.264), ("iris.csv", 4, 3, -180.186), ("quakes.csv", 3, 2, None)],
)
def test_known_optima_are_found(name, features, components, log_likelihood):
    rows = table(name)[:, :features]
    found = fit(rows, Configuration(components, tol=1e-10, max_iter=500, reg_covar=1e-6, n_init=3))
    if log_likelihood is not None:
        assert found.mean_log_likelihood == pytest.approx(log_likelihood / len(rows), abs=1e-5)
    told = re.search(rf"## {name}.*?(−\d+\.\d{{6}})\s+per\s+row", README, re.DOTALL)
    assert told
    assert found.mean_log_likelihood == pytest.approx(float(told[1].replace("−", "-")), abs=2e-6)


def test_components_of_the_iris_are_its_species():
    rows = table("iris.csv")
    found = fit(rows[:, :4], Configuration(3, tol=1e-10, max_iter=500))
    labels = found.mixture.labels(rows[:, :4])
    counts = np.array([[(labels[rows[:, 4] == s] == k).sum() for k in range(3)] for s in range(3)])
    assert counts.max(axis=1).sum() == 145
