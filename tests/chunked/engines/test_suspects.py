"""Who is suspected of ending workers: told by the scheduler's record of lost ones."""

from typing import Any

from gmm_dask.chunked.engines.keys import Labels, is_share
from gmm_dask.chunked.engines.suspects import fallen

SHARES = [(0, 3), (3, 6), (6, 9)]


def lost(*keys: Any) -> tuple[float, dict[str, Any]]:
    return 0.0, {"action": "remove-worker", "processing-tasks": dict.fromkeys(keys)}


def test_what_every_lost_worker_had_in_hand_is_suspected() -> None:
    events = [
        lost(("sweep-r1-it3", 0), ("sweep-r1-it3", 1)),
        lost(("sweep-r1-it3-2", 1), ("sweep-r1-it3-2", 2)),
        lost(("load-rows-r1", 1)),
    ]
    assert fallen(events, "r1", SHARES, 3) == [(3, 6)]
    assert fallen(events, "r1", SHARES, 4) == []
    assert fallen(events, "r1", SHARES, 1) == SHARES


def test_a_worker_is_counted_once_for_all_that_it_had_of_a_share() -> None:
    assert fallen([lost(("load-rows-r1", 0), ("sweep-r1", 0))], "r1", SHARES, 2) == []


def test_other_events_and_others_tasks_accuse_nobody() -> None:
    ours = ("sweep-r1", 1)
    events = [
        (0.0, {"action": "add-worker", "processing-tasks": {ours: None}}),
        (0.0, {"event": "pass", "run": "r1"}),
        lost(("sweep-r2", 1), ("merge-r1", 0, 1), "parameters-r1", ("sweep-r1", 3)),
    ]
    assert fallen(events, "r1", SHARES, 1) == []


def test_labels_of_a_run_are_known_as_its_own() -> None:
    label = Labels("r1")
    for name, step in (("sweep", 1), ("sweep", 1), ("load-rows", None)):
        assert is_share((label(name, step), 2), "r1", len(SHARES))
    assert not is_share((label("merge", 1), 0, 2), "r1", len(SHARES))
    assert not is_share(label("parameters", 1), "r1", len(SHARES))
