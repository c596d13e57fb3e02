"""A flow whose run lies in an object store: each fault is outlasted, and none ends it unheard."""

import pytest

from tests.flows.outlasting import struck
from tests.flows.slow import stored
from tests.store.unruly import unruly

pytestmark = [pytest.mark.needs("pg_isready"), pytest.mark.timeout(900)]

BAR = 45.0
"""Seconds beyond the outage until the fit has come further."""


def test_a_run_in_an_object_store_outlasts_outages_and_kills(asking, tmp_path):
    rows = stored(tmp_path)
    with unruly() as proxy:
        found = struck(asking, proxy, rows, tmp_path / "undisturbed", patience=3)
    assert found.took["503"] < BAR, found.took
    assert found.took["expired"] < BAR, found.took
