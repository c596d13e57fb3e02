"""How tasks go to a scheduler: under keys of our own, in as few messages as may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby, repeat
from operator import itemgetter
from typing import Any

import dask
from distributed import Client, Future


def submit(
    client: Client, function: Callable[..., Any], *arguments: object, **options: Any
) -> Future:
    """One task."""
    return client.submit(function, *arguments, pure=False, **options)


def submit_each(
    client: Client,
    function: Callable[..., Any],
    each: Iterable[tuple[Any, tuple[object, ...]]],
    places: Iterable[Mapping[str, Any]] = repeat({}),
) -> list[Future]:
    """A task for each key and its arguments. What goes to one place goes in one message:
    the scheduler has more to do for a message than for a task."""
    made: list[Future] = []
    for place, together in groupby(zip(each, places, strict=False), itemgetter(1)):
        keys, arguments = zip(*(task for task, _ in together), strict=True)
        columns = zip(*arguments, strict=True)
        made += client.map(function, *columns, key=list(keys), pure=False, **place)
    return made


def submit_over_inputs(
    client: Client,
    function: Callable[..., Any],
    each: Iterable[tuple[Any, tuple[object, ...]]],
) -> list[Future]:
    """The same where some arguments are blocks of Dask arrays, still to be computed."""
    made = dask.delayed(function, pure=False)
    return list(client.compute([made(*given, dask_key_name=key) for key, given in each]))


def large_arguments() -> Any:
    """What goes out once per pass may be large; distributed would warn from 10 MB on."""
    return dask.config.set({"distributed.admin.large-graph-warning-threshold": "10GB"})
