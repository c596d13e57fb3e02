"""Logs of workers: what the library says there, heard by the driver that asked for it.

Knows Dask's plugins; each driver's has a name of its own, for schedulers are shared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from distributed import Client, Worker
from distributed.diagnostics.plugin import WorkerPlugin

LIBRARY = logging.getLogger("gmm_dask")


class EventHandler(logging.Handler):
    """Makes an event of each record."""

    def __init__(self, worker: Worker, topic: str, level: int) -> None:
        super().__init__(level)
        self.worker, self.topic = worker, topic

    def emit(self, record: logging.LogRecord) -> None:
        event = {"level": record.levelno, "message": record.getMessage()}
        with suppress(Exception):  # a word is no reason to fail
            self.worker.log_event(self.topic, event)


class LogForwarding(WorkerPlugin):  # type: ignore[misc]
    """On each worker, also on those that come later: its log as events of a topic."""

    def __init__(self, topic: str, level: int) -> None:
        self.topic, self.level = topic, level

    def setup(self, worker: Worker) -> None:
        """When it comes to a worker, or a worker comes."""
        self.handler = EventHandler(worker, self.topic, self.level)
        LIBRARY.addHandler(self.handler)

    def teardown(self, worker: Worker) -> None:
        """When it is taken away."""
        del worker
        LIBRARY.removeHandler(self.handler)


@contextmanager
def worker_logs_heard(
    client: Client, name: str, tell: Callable[[int, str], object], level: int = logging.WARNING
) -> Iterator[None]:
    """Hand on what workers log, as long as this lasts, under a name that no other driver has.

    One that was killed leaves its name behind; the next of that name takes its place.
    """

    def heard(event: tuple[float, dict[str, Any]]) -> None:
        tell(event[1]["level"], event[1]["message"])

    topic = f"gmm-dask-words-{name}"
    client.subscribe_topic(topic, heard)
    client.register_plugin(LogForwarding(topic, level), name=topic)
    try:
        yield
    finally:
        if client.status == "running":
            # The end of telling is no reason to fail: its scheduler may have been started anew.
            with suppress(Exception):
                client.unsubscribe_topic(topic)
                client.unregister_worker_plugin(topic)
