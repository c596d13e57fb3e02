"""Two "hosts": network namespaces of this machine on a switch, whose wires can be cut.

A namespace lives as long as the process that holds it: nothing is left over, however a test ends.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.processes import Processes, until, well

USER = os.geteuid() != 0
"""Without privileges, they are in a user namespace, which the first of them makes."""


@dataclass(frozen=True)
class Place:
    """A namespace, by the process that holds it."""

    name: str
    holder: int
    address: str = "127.0.0.1"

    def enter(self) -> list[object]:
        """Words before a command that run it there."""
        user = ["--user", "--preserve-credentials"] if USER else []
        return ["nsenter", "--target", self.holder, "--net", *user, "--"]

    def ip(self, *words: object) -> None:
        well([*self.enter(), "ip", *words])


@dataclass(frozen=True)
class Network:
    """The switch and the hosts on it."""

    switch: Place
    hosts: tuple[Place, ...]

    def cut(self, host: Place) -> None:
        """Nothing gets through, either way, and nobody is told: no link goes down, no connection
        is refused."""
        self.switch.ip("link", "set", f"to-{host.name}", "nomaster")

    def heal(self, host: Place) -> None:
        self.switch.ip("link", "set", f"to-{host.name}", "master", "switch")

    def shell(self, folder: Path) -> Path:
        """A program that takes a host's name and a command, as ssh does."""
        cases = "\n".join(
            f'{host.name}) exec {" ".join(map(str, host.enter()))} sh -c "$2" ;;'
            for host in self.hosts
        )
        path = folder / "shell"
        path.write_text(f"#!/bin/sh\ncase $1 in\n{cases}\nesac\nexit 255\n")
        path.chmod(0o700)
        return path


def network_of(processes: Processes, addresses: dict[str, str]) -> Network:
    """Hosts of these names at these addresses, as long as the processes are."""
    switch = first(processes, "switch")
    switch.ip("link", "add", "switch", "type", "bridge")
    switch.ip("link", "set", "switch", "up")
    hosts = tuple(connected(processes, switch, *host) for host in addresses.items())
    return Network(switch, hosts)


def connected(processes: Processes, switch: Place, name: str, address: str) -> Place:
    """A host with a wire to the switch."""
    host = held(processes, name, [*switch.enter(), "unshare", "--net"], address)
    port = ["peer", "name", f"to-{name}", "netns", switch.holder]
    switch.ip("link", "add", "wire", "netns", host.holder, "type", "veth", *port)
    switch.ip("link", "set", f"to-{name}", "master", "switch", "up")
    host.ip("address", "add", f"{address}/24", "dev", "wire")
    for device in ("lo", "wire"):
        host.ip("link", "set", device, "up")
    return host


def first(processes: Processes, name: str) -> Place:
    """A network of its own, with nothing on it."""
    user = ["--user", "--map-root-user"] if USER else []
    return held(processes, name, ["unshare", "--net", *user])


def held(
    processes: Processes, name: str, command: list[object], address: str = "127.0.0.1"
) -> Place:
    """A namespace that lasts as long as its holder."""
    holder = processes.start(name, [*command, "sleep", "infinity"]).pid
    until(lambda: Path(f"/proc/{holder}/comm").read_text().strip() == "sleep")
    return Place(name, holder, address)
