"""A bar for work whose size is known; a line now and then where there is no terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gmm_dask.cli import output

logger = logging.getLogger("gmm_dask")

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def counted(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function to tell how many more are done."""
    if not output.live():
        yield _lines(what, total)
        return
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=output.console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)


def _lines(what: str, total: int | None) -> Callable[[int], None]:
    done, last = 0, time.monotonic()

    def tell(more: int) -> None:
        nonlocal done, last
        done += more
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            of = "" if total is None else f" of {total:,}"
            logger.info("%s: %s%s", what, f"{done:,}", of)

    return tell
