"""What workers log is heard by each driver that listens, and by none after it has gone."""

import logging

from distributed import Client

from gmm_dask.chunked.engines.worker_logs import worker_logs_heard
from tests.faults.cluster import until


def said(word: str) -> None:
    logging.getLogger("gmm_dask.anything").warning("it said %s", word)


def heard_of(driver: Client) -> None:
    """What this driver has asked for before is known to the scheduler: a task comes after it."""
    driver.submit(int, pure=False).result()


def test_two_drivers_of_one_scheduler_listen_and_leave_in_any_order(client):
    words: dict[str, list[tuple[int, str]]] = {"first": [], "second": []}

    def listening(driver, name):
        return worker_logs_heard(driver, name, lambda *word: words[name].append(word))

    with Client(client.scheduler.address, set_as_default=False) as other:
        first, second = listening(client, "first"), listening(other, "second")
        first.__enter__()
        second.__enter__()
        heard_of(client)
        heard_of(other)
        client.submit(said, "both", pure=False).result()
        until(lambda: all(words.values()), 10)
        first.__exit__(None, None, None)
        client.submit(said, "one", pure=False).result()
        until(lambda: len(words["second"]) == 2, 10)
        second.__exit__(None, None, None)
        assert words["first"] == [(logging.WARNING, "it said both")]
    names = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
    assert not [name for name in names if "gmm-dask" in name]


def test_one_that_was_killed_leaves_its_place_to_the_next_of_its_name(client):
    words: list[tuple[int, str]] = []
    killed = worker_logs_heard(client, "same", lambda *word: words.append(word))
    killed.__enter__()
    with Client(client.scheduler.address, set_as_default=False) as other:
        again: list[tuple[int, str]] = []
        with worker_logs_heard(other, "same", lambda *word: again.append(word)):
            heard_of(other)
            client.submit(said, "once", pure=False).result()
            until(lambda: again and words, 10)
            assert len(again) == 1
    killed.__exit__(None, None, None)
