"""How soon a client sends what it is told: sooner while a fit waits for it, as before afterwards.

The interval is no part of Dask's interface; without it passes are the same, and begin later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from distributed import Client

SEND_EVERY = 0.002
"""Seconds between the client's messages: a pass waits for some. Dask's workers and its scheduler
have the same; clients, which send whole graphs elsewhere, take 10 ms."""

_LOCK = Lock()
_HURRIED: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()
"""How many fits hurry a connection at once, and the interval that it had before the first."""


def hurry(client: Client) -> Callable[[], None]:
    """Have a client send sooner; what is returned, called once, sets back what was before."""
    connection: Any = getattr(client, "scheduler_comm", None)
    if not hasattr(connection, "interval"):
        return lambda: None
    with _LOCK:
        fits, before = _HURRIED.get(connection, (0, connection.interval))
        _HURRIED[connection] = fits + 1, before
        connection.interval = SEND_EVERY
    return partial(_leave, connection)


def _leave(connection: Any) -> None:
    with _LOCK:
        fits, before = _HURRIED.pop(connection)
        if fits > 1:
            _HURRIED[connection] = fits - 1, before
        else:
            connection.interval = before
