"""Flows from a command line, without a server: a TOML file, or the few fields of a first try.

Knows arguments; the fields and their meaning are the forms'.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gmm_dask.fitting.jobs import without_none
from gmm_dask.mixture.refusals import Refusal
from gmm_dask.runs.configuration import load_values
from gmm_dask.settings.secrets import without_secret, without_secrets

T = TypeVar("T")

BUSY = 3

SECTIONS: Mapping[str, Sequence[str]] = {
    "rows": ("array",),
    "cluster": ("scheduler", "workers"),
}


def parser(about: str | None, *, runs: bool = True) -> argparse.ArgumentParser:
    """What all flows over rows take; those with a run folder take a configuration of a fit."""
    made = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("source", nargs="?", help="path or URL of a Zarr array or group")
    if runs:
        made.add_argument("--config", help="TOML file of a fit; what else is given goes over it")
        made.add_argument("--run", help="run folder; without one, named after source and settings")
    made.add_argument("--array", help="array of a group")
    made.add_argument("--scheduler", help="address of a Dask scheduler")
    made.add_argument("--workers", type=int, help="of a local cluster")
    return made


def given(
    made: argparse.ArgumentParser,
    arguments: Sequence[str] | None = None,
    **sections: Sequence[str],
) -> dict[str, Any]:
    """The parameters of a flow; each section takes the arguments of the names that it lists."""
    parsed = vars(made.parse_args(arguments))
    options = without_none(parsed)
    config = options.pop("config", None)
    values = {} if config is None else refused_in_a_line(made, lambda: load_values(config))
    for section, names in {**SECTIONS, **sections}.items():
        chosen = {name: options.pop(name) for name in names if name in options}
        if chosen:
            values[section] = {**values.get(section, {}), **chosen}
    values |= options
    # Prefect stores what a flow is called with before it looks at it.
    refused_in_a_line(made, lambda: show_no_secret(values))
    if "source" in parsed and "source" not in values:
        made.error("give a source, or a --config that has one")
    # Prefect makes its home, but no folder above it, and then finds no place for its database.
    Path(os.environ.get("PREFECT_HOME", ".")).expanduser().mkdir(parents=True, exist_ok=True)
    return values


def refused_in_a_line(made: argparse.ArgumentParser, look: Callable[[], T]) -> T:
    """What is looked up; a refusal is bad usage, told in its sentence."""
    try:
        return look()
    except Refusal as problem:
        made.error(str(problem))


def show_no_secret(values: Mapping[str, Any]) -> None:
    """Refuse what must not be stored and shown."""
    for text in texts_in(values):
        without_secret(text)
    without_secrets(values.get("cluster", {}).get("arguments", {}))


def texts_in(value: object) -> Iterator[str]:
    """All texts, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from texts_in(one)


def tell(result: Mapping[str, Any]) -> None:
    """The result, for standard output; what was left to another driver ends as it does there."""
    if "busy" in result:
        print(result["busy"], file=sys.stderr)  # noqa: T201
        sys.exit(BUSY)
    for name, value in result.items():
        print(f"{name.replace('_', ' ') + ':':<22}{value}")  # noqa: T201
