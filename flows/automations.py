"""Apply automations from files, as often as one likes: made if new, else brought up to date.

python -m flows.automations apply deploy/automations
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore
from pydantic import ValidationError

from gmm_dask.configuration import ConfigurationError


def read(folder: Path) -> list[AutomationCore]:
    """The automations in the YAML files of a folder, in the order of their names."""
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        raise ConfigurationError(f"there is no YAML file in {folder}")
    return [automation_in(file) for file in files]


def automation_in(file: Path) -> AutomationCore:
    """The one automation of a file."""
    try:
        return AutomationCore.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as problem:
        raise ConfigurationError(f"{file} holds no automation: {problem}") from None


async def apply(automations: list[AutomationCore]) -> list[tuple[str, str]]:
    """Each by its name: made, or changed to what it says now; what became of it."""
    async with get_client() as client:
        return [(one.name, await applied(client, one)) for one in automations]


async def applied(client: PrefectClient, automation: AutomationCore) -> str:
    """One automation; of several of that name, what someone made by hand twice, one is left."""
    there: list[Any] = await client.read_automations_by_name(automation.name)
    if not there:
        await client.create_automation(automation)
        return "made"
    await client.update_automation(there[0].id, automation)
    for other in there[1:]:
        await client.delete_automation(other.id)
    return "up to date"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["apply"])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        automations = read(folder)
    except ConfigurationError as problem:
        parser.error(str(problem))
    for name, outcome in asyncio.run(apply(automations)):
        print(f"{name}: {outcome}")  # noqa: T201


if __name__ == "__main__":
    main()
