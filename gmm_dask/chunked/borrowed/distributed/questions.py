"""Answers of a scheduler that may be gone, or silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from distributed import Client

from gmm_dask.chunked.borrowed.part import Borrowed, assigned, gone
from gmm_dask.store.retries import waiting_for, within

ASKED = "scheduler"
"""The name, which distributed may change, by which a client asks its scheduler."""

_PUBLIC: Mapping[str, Callable[..., Any]] = {
    "ncores": Client.nthreads,
    "identity": Client.scheduler_info,
    "events": Client.get_events,
    "log_event": Client.log_event,
}
"""The same by the client's own methods, which knock at a dead scheduler's door until connecting
times out."""


class Silent(Exception):  # noqa: N818 - named for what it is
    """A scheduler that is there and does not answer: stopped, or cut off."""


def answer(client: Client, question: str, seconds: float, **details: Any) -> Any:
    """The scheduler's answer; Silent after so many seconds without one, and ConnectionError as
    soon as the client knows that it is gone."""
    if not hasattr(client, ASKED):
        gone(QUESTIONS)
        try:
            return within(seconds, "the scheduler", _PUBLIC[question], client, **details)
        except TimeoutError as problem:
            raise Silent(str(problem)) from None
    return client.sync(_answer_or_gone, client, question, seconds, details)


async def _answer_or_gone(
    client: Client, question: str, seconds: float, details: dict[str, Any]
) -> Any:
    if client.status != "running":
        raise ConnectionError("the scheduler is gone")
    scheduler = getattr(client, ASKED)
    name, end = f"the scheduler at {scheduler.address}", time.monotonic() + seconds
    asked = asyncio.ensure_future(getattr(scheduler, question)(**details))
    with waiting_for(name, seconds):
        while not asked.done():
            await asyncio.wait([asked], timeout=0.2)
            _check_there(client, asked)
            if time.monotonic() > end and not asked.done():
                asked.cancel()
                raise Silent(f"{name} has not answered for {seconds:.0f} s")
    try:
        return asked.result()
    except asyncio.CancelledError:
        raise ConnectionError("the scheduler's answer was cut off") from None


def _check_there(client: Client, asked: asyncio.Future[Any]) -> None:
    if client.status != "running" and not asked.done():
        asked.cancel()
        raise ConnectionError("the scheduler is gone")


def _look_at_questions() -> None:
    assigned(Client, ASKED)


QUESTIONS = Borrowed(
    "distributed",
    "way to ask a scheduler and notice that it is gone (client.scheduler)",
    "a scheduler that is lost is noticed only when connecting to it times out",
    _look_at_questions,
)
