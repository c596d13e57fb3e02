"""Tables: numbers that line up, and cells that stay cells on a page."""

import numpy as np
import pytest

from gmm_dask import Configuration, Mixture, fit, select
from gmm_dask.fitting.html_table import html_table
from gmm_dask.mixture.tables import Table, aligned


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([1.23456, 12.3], None, ["1.2", "12.3"]),
        ([1e8, 1e8 + 1], 0.1, ["100000000.000", "100000001.000"]),
        ([1e-7, -2e-7], None, ["1.00e-07", "-2.00e-07"]),
        ([1234567.0, -1.0], None, ["1234567", "-1"]),
        ([1e12, 5.0], None, ["1.00e+12", "5.00e+00"]),
        ([1e9, -0.5], 0.1, ["1000000000.000", "-0.500"]),
        ([1e14, 5.0], 0.1, ["1.00e+14", "5.00e+00"]),
        ([-1e-9, 1.0], None, ["0.00", "1.00"]),
        ([0.0, 0.0], None, ["0.00", "0.00"]),
        ([], None, []),
    ],
)
def test_numbers_line_up(values, unit, expected):
    assert aligned(values, unit) == expected


def test_small_numbers_do_not_read_as_zero():
    assert aligned([2.9e-41, 0.5, 0.0], 0.1, small=True) == ["2.9e-41", "0.500", "0.000"]


def test_every_line_of_a_mixture_is_as_long_as_its_headings():
    found = Mixture(
        [0.2, 0.8], [[1e8, -3e-7], [1e8 + 1, 2e-7]], [[1e-2, 1e-16], [1, 1e-14]], "diag"
    )
    title, *lines = str(found).splitlines()
    assert title == "Mixture of 2 components in 2 features, diag, mean ± sd"
    assert len(set(map(len, lines))) == 1
    assert "100000001.000 ± 1.000" in lines[2]


def test_large_mixtures_are_cut_and_say_so():
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.ones(70))
    found = Mixture(weights, random.normal(size=(70, 9)), np.ones(70), "spherical")
    text = str(found)
    assert "… and 10 lighter components and 3 more features" in text
    assert len(text.splitlines()) == 63


def test_cells_are_escaped_on_a_page():
    table = Table(("<b>", "n"), (("a & b", "<script>"),), frozenset({0}), title="<i>")
    page = html_table(table)
    assert "<script>" not in page
    assert "<b>" not in page.replace("<p><b>", "")
    assert "a &amp; b" in page


def test_fits_and_selections_show_themselves_in_notebooks():
    random = np.random.default_rng(0)
    rows = np.vstack([random.normal(size=(60, 1)), random.normal(9, 1, size=(40, 1))])
    found = fit(rows, Configuration(2))
    assert "2 passes over 100 rows" in str(found)
    assert "<table>" in found._repr_html_()
    assert found._repr_html_().count("<tr>") == 3
    assert select(rows, (1, 2))._repr_html_().count("<tr>") == 3
