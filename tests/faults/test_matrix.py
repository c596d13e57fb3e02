"""The matrix in small: every row that has no test of its own here."""

import pytest

from tests.faults.cluster import SEED
from tests.faults.matrix import ROWS, Row

SMALL = [pytest.param(row, id=f"row-{row.number}") for row in ROWS.values() if row.small]


@pytest.mark.parametrize("row", SMALL)
def test_row_in_small(row: Row) -> None:
    outcome = row.function()("small", SEED)
    assert outcome.held, outcome.broken
    assert outcome.survived
