"""Apply automations from files, as often as one likes: made if new, else brought up to date.

python -m flows.automations apply deploy/automations --notify slack-webhook/on-call

Those that notify somebody do so by a notification block, TYPE/NAME on Prefect's page of blocks:
they keep the one that they have, and are left out where they have none.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from gmm_dask.settings.errors import ConfigurationError

NOTIFYING = "send-notification"
NOBODY = "left out: it notifies somebody, so give it --notify TYPE/NAME, a notification block"


def read(folder: Path) -> list[dict[str, Any]]:
    """The automations in the YAML files of a folder, in the order of their names."""
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        raise ConfigurationError(f"there is no YAML file in {folder}")
    return [automation_in(file) for file in files]


def automation_in(file: Path) -> dict[str, Any]:
    """The one automation of a file, whole but for the blocks by which it notifies."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        with_block(values, UUID(int=0))
    except (yaml.YAMLError, ValidationError, TypeError, AttributeError) as problem:
        raise ConfigurationError(f"{file} holds no automation: {problem}") from None
    return values


def with_block(values: Mapping[str, Any], block: UUID) -> AutomationCore:
    """An automation that notifies by this block."""
    actions = [
        {**action, "block_document_id": block} if action["type"] == NOTIFYING else action
        for action in values["actions"]
    ]
    return AutomationCore.model_validate({**values, "actions": actions})


async def apply(
    automations: list[dict[str, Any]], notify: str | None = None
) -> list[tuple[str, str]]:
    """Each by its name: made, or changed to what it says now; what became of it."""
    async with get_client() as client:
        block = None if notify is None else await block_at(client, notify)
        return [(one["name"], await applied(client, one, block)) for one in automations]


async def block_at(client: PrefectClient, address: str) -> UUID:
    """The block of an address such as slack-webhook/on-call."""
    kind, _, name = address.partition("/")
    try:
        return (await client.read_block_document_by_name(name, kind)).id
    except ObjectNotFound:
        raise ConfigurationError(
            f"there is no block {address}: make it on Prefect's page of blocks, and name it by its "
            "type and name, such as slack-webhook/on-call"
        ) from None


async def applied(client: PrefectClient, values: Mapping[str, Any], block: UUID | None) -> str:
    """One automation; of several of that name, what someone made by hand twice, one is left."""
    there: list[Any] = await client.read_automations_by_name(values["name"])
    block = block or next(map(block_of, there), None)
    if block is None and any(action["type"] == NOTIFYING for action in values["actions"]):
        return NOBODY
    automation = with_block(values, block or UUID(int=0))
    if not there:
        await client.create_automation(automation)
        return "made"
    await client.update_automation(there[0].id, automation)
    for other in there[1:]:
        await client.delete_automation(other.id)
    return "up to date"


def block_of(automation: Any) -> UUID | None:
    """By which it notifies now."""
    blocks = (getattr(action, "block_document_id", None) for action in automation.actions)
    return next(filter(None, blocks), None)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["apply"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--notify", metavar="TYPE/NAME", help="notification block")
    given = parser.parse_args()
    try:
        outcomes = asyncio.run(apply(read(given.folder), given.notify))
    except ConfigurationError as problem:
        parser.error(str(problem))
    for name, outcome in outcomes:
        print(f"{name}: {outcome}")  # noqa: T201


if __name__ == "__main__":
    main()
