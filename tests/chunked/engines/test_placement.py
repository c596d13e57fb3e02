"""Where rows are put on a cluster, and when anew: by a client that only takes notes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gmm_dask.chunked.engines.keys import Labels
from gmm_dask.chunked.engines.placement import Placement
from gmm_dask.chunked.rows import Rows, open_rows


class Client:
    """Every task that it is given is on its way."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[Any], dict[str, Any]]] = []

    def map(self, _function: Any, *_columns: Any, key: list[Any], **options: Any) -> list[Any]:
        self.calls.append((key, options))
        return [SimpleNamespace(key=one, status="pending") for one in key]


@pytest.fixture
def rows() -> Rows:
    """A hundred blocks of one row."""
    return open_rows(np.arange(100.0), block_bytes=8)


def placed(client: Any, rows: Rows, *, cached: bool) -> Placement:
    return Placement(client, rows, Labels("r1"), cached=cached, tasks_per_thread=2)


def test_rows_are_loaded_once_each_share_where_it_is_to_stay(rows: Rows) -> None:
    client = Client()
    placement = placed(client, rows, cached=True)
    placement.place({"b": 1, "a": 2}, None)
    assert [options["workers"] for _, options in client.calls] == [["a"], ["b"]]
    assert [key for keys, _ in client.calls for key in keys] == [
        ("load-rows-r1", i) for i in range(6)
    ]
    assert [d.worker for d in placement.dealt] == ["a"] * 4 + ["b"] * 2
    loads = placement.loads
    placement.place({"b": 1, "a": 2}, 1)
    assert placement.loads is loads
    assert [(d.first, d.last) for d in placement.dealt] == [(0, 2), (2, 4), (4, 6)]


def test_far_more_threads_are_worth_cutting_anew(rows: Rows) -> None:
    placement = placed(Client(), rows, cached=True)
    placement.place({"a": 2}, None)
    before = placement.loads
    placement.place({"a": 3}, None)
    assert placement.loads is before
    placement.place({"a": 4}, None)
    assert len(placement.shares) == len(placement.loads) == 8


def test_no_more_blocks_than_there_are_are_cut_anew(rows: Rows) -> None:
    placement = placed(Client(), rows, cached=True)
    placement.place({"a": 50}, None)
    before = placement.loads
    placement.place({"a": 100}, None)
    assert placement.loads is before


@pytest.mark.parametrize("status", ["error", "lost", "cancelled"])
def test_a_share_that_is_lost_has_all_loaded_again(rows: Rows, status: str) -> None:
    placement = placed(Client(), rows, cached=True)
    placement.place({"a": 2}, None)
    before = placement.loads
    before[1].status = status  # type: ignore[misc]
    placement.place({"a": 2}, None)
    assert placement.loads is not before


def test_streamed_rows_are_loaded_nowhere(rows: Rows) -> None:
    client = Client()
    placement = placed(client, rows, cached=False)
    placement.place({"a": 2}, None)
    assert not client.calls
    assert len(placement.shares) == 4


def test_suspects_are_the_shares_of_tasks_that_failed(rows: Rows) -> None:
    placement = placed(Client(), rows, cached=True)
    placement.place({"a": 2}, 1)
    assert [(d.first, d.last) for d in placement.dealt] == [(0, 2), (2, 4)]

    def task(status: str, *key: Any) -> Any:
        return SimpleNamespace(key=key, status=status)

    made = [task("finished", "sweep", 0), task("error", "sweep", 2), task("error", "merge", 0, 0)]
    assert placement.suspects(made) == placement.shares[2:4]
    placement.loads[0].status = "error"  # type: ignore[misc]
    assert placement.suspects(made) == [placement.shares[0], *placement.shares[2:4]]
    placement.forget()
    assert placement.suspects(made) == placement.shares[2:4]


def test_threads_are_worth_their_cost_by_the_length_of_a_pass(rows: Rows) -> None:
    placement = placed(Client(), rows, cached=True)
    placement.place({"a": 2}, None)
    assert placement.threads_worth(0.1) == 0
    assert placement.threads_worth(4.1) == 20
    assert placement.threads_worth(4000.0) == len(rows)
