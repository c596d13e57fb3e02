"""Serve the deployments of a prefect.yaml from this process: no work pool and no worker needed.

python -m flows.serving deploy/prefect.yaml refit-nightly
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow, serve
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment

from gmm_dask.settings.errors import ConfigurationError


def deployments_in(file: Path, names: Sequence[str] = ()) -> list[RunnerDeployment]:
    """Those of a file, or the ones of these names."""
    entries = {one["name"]: one for one in yaml.safe_load(file.read_text("utf-8"))["deployments"]}
    for name in names:
        if name not in entries:
            raise ConfigurationError(
                f"there is no deployment {name} in {file}; choose of {', '.join(entries)}"
            )
    return [deployment(entries[name]) for name in names or entries]


def deployment(entry: Mapping[str, Any]) -> RunnerDeployment:
    """One entry: what a work pool would be told, for this process."""
    schedules = [
        CronSchedule(cron=one["cron"], timezone=one.get("timezone"))
        for one in entry.get("schedules", ())
    ]
    made: Any = flow_at(entry["entrypoint"]).to_deployment(
        entry["name"],
        description=entry.get("description"),
        tags=entry.get("tags"),
        parameters=entry.get("parameters"),
        schedules=schedules,
    )
    deployed: RunnerDeployment = made
    return deployed


def flow_at(entrypoint: str) -> Flow[..., Any]:
    """`flows/refit.py:refit`."""
    path, _, name = entrypoint.partition(":")
    flow: Flow[..., Any] = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
    return flow


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("names", nargs="*", help="of deployments; all of them without one")
    parser.add_argument("--limit", type=int, default=2, help="runs at the same time")
    given = parser.parse_args()
    try:
        deployments = deployments_in(given.file, given.names)
    except (ConfigurationError, OSError) as problem:
        parser.error(str(problem))
    serve(*deployments, limit=given.limit)


if __name__ == "__main__":
    main()
