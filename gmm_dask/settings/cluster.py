"""Where passes run: the section [cluster]."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge

from gmm_dask.settings.checks import check
from gmm_dask.settings.declaration import Help, not_default
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.secrets import Address, NoSecrets

TIME = re.compile(r"\s*\d+(\.\d+)?\s*(ms|s|m|h|d|w|(second|sec|minute|min|hour|hr|day|week)s?)?\s*")
"""As Dask reads it."""


@dataclass(frozen=True)
class ClusterOptions:
    """Where passes run: a scheduler that is there, a cluster of this machine's own, or one of any
    Dask `kind` (`dask_jobqueue.SLURMCluster`), made with `arguments` and scaled to `workers`."""

    scheduler: Annotated[
        str | None, Address(), Help("Scheduler", "address of a Dask scheduler: tls://host:8786")
    ] = None
    workers: Annotated[
        int | None, Ge(1), Help("Workers", "workers of a cluster that is started for this")
    ] = None
    threads: Annotated[
        int | None, Ge(1), Help("Threads", "threads of each worker of a cluster on this machine")
    ] = None
    memory_limit: Annotated[
        str | None, Help("Memory limit", "memory of each worker of a cluster on this machine: 2GB")
    ] = None
    kind: Annotated[
        str | None,
        Help(
            "Kind",
            "any class of Dask clusters: dask_jobqueue.SLURMCluster, "
            "dask_kubernetes.operator.KubeCluster",
        ),
    ] = None
    arguments: Annotated[
        Mapping[str, Any],
        NoSecrets(),
        Help("Arguments", "what that class of clusters is called with"),
    ] = field(default_factory=dict)
    wait: Annotated[str, Help("Wait", "how long to wait for its first worker, in a queue")] = "1h"
    trust_network: Annotated[
        bool,
        Help(
            "Trust the network",
            "let its scheduler listen there without TLS: whoever reaches it runs code",
        ),
    ] = False

    def __post_init__(self) -> None:
        check(self)
        self._one_place()
        if not TIME.fullmatch(self.wait):
            raise ConfigurationError(f"wait {self.wait!r} is no time; write 90s, 10m or 1h")

    def _one_place(self) -> None:
        """One of the three; each with what belongs to it."""
        of_local, of_kind = ("threads", "memory_limit"), ("kind", "arguments")
        given = [n for n in ("workers", *of_local, *of_kind) if getattr(self, n) not in (None, {})]
        if self.scheduler is not None and given:
            raise ConfigurationError(
                f"give a scheduler's address or the {given[0]} of a cluster to start, not both"
            )
        if self.kind is None and self.arguments:
            raise ConfigurationError(
                "arguments of a cluster need its kind, such as dask_jobqueue.SLURMCluster"
            )
        astray = [name for name in given if name in of_local]
        if self.kind is not None and astray:
            raise ConfigurationError(
                f"{astray[0]} is of a local cluster; give what {self.kind} calls it in arguments"
            )

    def given(self) -> dict[str, Any]:
        """What is not as it is without a word."""
        return not_default(self)

    @property
    def any_given(self) -> bool:
        """Whether a cluster is asked for at all."""
        return any((self.scheduler, self.workers, self.threads, self.memory_limit, self.kind))
