"""Places on schedulers that many share: as many flows at once as Prefect's limits say.

Knows global concurrency limits; knows nothing of what is done there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.news import unheard

HELD_SECONDS = 60
"""A place whose flow was killed is free after so long."""


def limit_of(scheduler: str) -> str:
    """`dask-scheduler-8786`: its limit, by an address such as tls://scheduler:8786."""
    return "dask-" + re.sub(r"[^A-Za-z0-9.]+", "-", scheduler.partition("://")[2] or scheduler)


@contextmanager
def place_on(scheduler: str | None) -> Iterator[None]:
    """One of the places on a scheduler, waited for, and given back; where there is no limit, or no
    server that would say so, there is room for all."""
    if scheduler is None or not is_limited(limit_of(scheduler)):
        yield
        return
    name, logger = limit_of(scheduler), get_run_logger()
    logger.info("waiting for one of the places of the global concurrency limit %s", name)
    place = ExitStack()
    place.enter_context(concurrency(name, lease_duration=HELD_SECONDS))
    logger.info("has a place of %s", name)
    try:
        yield
    finally:
        give_back(place)


def give_back(place: ExitStack) -> None:
    """Now; without a server, by itself, for no fit waits for one."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            place.close()
    except Exception as problem:
        if not unheard(problem):
            raise


def is_limited(name: str) -> bool:
    """Whether somebody has made this limit."""
    try:
        with get_client(sync_client=True) as client:
            client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        return False
    except Exception as problem:
        if unheard(problem):
            return False
        raise
    return True
