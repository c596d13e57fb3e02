"""Asking a Prefect server, as a person or a platform team would: run, wait, cancel, look."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling

from tests.flows.servers import Platform, until


@dataclass
class Asking:
    """A client of the server, in the words of the tests."""

    client: SyncPrefectClient
    platform: Platform

    @staticmethod
    @contextmanager
    def of(platform: Platform) -> Iterator["Asking"]:
        with (
            temporary_settings({PREFECT_API_URL: platform.address}),
            get_client(sync_client=True) as client,
        ):
            yield Asking(client, platform)

    def run(self, deployment: str, **parameters: Any) -> UUID:
        """Start a deployment, such as `fit-mixture/fit`."""
        found = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def read(self, run: UUID) -> FlowRun:
        return self.client.read_flow_run(run)

    def ended(self, run: UUID, seconds: float = 300) -> FlowRun:
        """The run when it is over, and stays so."""
        until(lambda: self.read(run).state.is_final(), seconds, f"run {run}")
        return self.read(run)

    def ends_as(self, run: UUID, state: StateType, seconds: float = 300) -> FlowRun:
        until(lambda: self.read(run).state.type == state, seconds, f"run {run} to be {state}")
        return self.read(run)

    def cancel(self, run: UUID) -> float:
        """Cancel it, as the button of the UI does; seconds until it is over."""
        began = time.monotonic()
        self.client.set_flow_run_state(run, Cancelling())
        self.ends_as(run, StateType.CANCELLED, 60)
        return time.monotonic() - began

    def states(self, run: UUID) -> list[str]:
        """All that it went through, in order."""
        return [state.name for state in self.client.read_flow_run_states(run)]

    def log(self, run: UUID) -> str:
        chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
        lines: list[str] = []
        while page := self.client.read_logs(chosen, limit=200, offset=len(lines)):
            lines += [line.message for line in page]
        return "\n".join(lines)

    def found(self, run: UUID) -> list[Artifact]:
        """The artifacts of a run, the oldest first."""
        chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        found = self.client.read_artifacts(artifact_filter=chosen)
        return sorted(found, key=lambda one: one.created)

    def artifacts(self, run: UUID) -> dict[str, Any]:
        """What is in them, by the first word of their keys; of each the newest."""
        return {one.key.partition("-")[0]: one.data for one in self.found(run)}

    def assets(self, run: UUID) -> list[tuple[str, set[str], dict[str, Any]]]:
        """What it has made, of what, and what is known of it."""
        events = self.events(run, "prefect.asset.materialization.succeeded")
        return [
            (
                event["resource"]["prefect.resource.id"],
                {
                    one["prefect.resource.id"]
                    for one in event["related"]
                    if one["prefect.resource.role"] == "asset"
                },
                event["payload"],
            )
            for event in events
        ]

    def events(self, run: UUID, name: str) -> list[dict[str, Any]]:
        """Events of that name that were told in the run."""
        asked = {"filter": {"event": {"name": [name]}}, "limit": 50}
        found = self.client.request("POST", "/events/filter", json=asked).json()["events"]
        return [e for e in found if any(str(run) in r["prefect.resource.id"] for r in e["related"])]
