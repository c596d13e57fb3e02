"""Debian's SLURM on this machine alone, as whoever runs the tests: controller, node and munge."""

import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.processes import processes_in, run, until, well

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}
SlurmdSpoolDir={folder}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

REFUSED_SECONDS = 4.0


@dataclass(frozen=True)
class Slurm:
    """A queue of one node of eight processors."""

    configuration: Path
    waiting: dict[str, float] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.configuration)}

    def ask(self, *command: object) -> str:
        return well(command, **self.environment).strip()

    def jobs(self) -> dict[str, str]:
        """The state of every job in the queue."""
        lines = self.ask("squeue", "--noheader", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def release(self) -> None:
        """Whatever waits for its time may begin; not at once: in the second in which a job ended,
        its node takes it for the one that did, and refuses it for good (credential revoked)."""
        states = self.jobs()
        for number in set(self.waiting) - {n for n, state in states.items() if state == "PENDING"}:
            del self.waiting[number]
        for number, state in states.items():
            now = time.monotonic()
            if state == "PENDING" and now - self.waiting.setdefault(number, now) > REFUSED_SECONDS:
                update = ["scontrol", "update", f"JobId={number}", "StartTime=now"]
                run(update, **self.environment)


@contextmanager
def slurm_in(folder: Path) -> Iterator[Slurm]:
    """Up while this is open; its jobs, which are in groups of their own, are cancelled."""
    host = socket.gethostname().split(".")[0]
    key, pipe = folder / "munge.key", folder / "munge.socket"
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(host=host, user=getpass.getuser(), folder=folder, ports=free_ports(2))
    )
    key.write_bytes(os.urandom(1024))
    for private in (folder, key):
        private.chmod(0o700 if private.is_dir() else 0o600)
    slurm = Slurm(configuration)
    with processes_in(folder) as processes:
        files = {"pid-file": "munged.pid", "log-file": "munged.txt", "seed-file": "munged.seed"}
        places = [f"--{option}={folder / name}" for option, name in files.items()]
        # --force: the folders above are a temporary directory's, which munge trusts less
        munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={pipe}"]
        processes.start("munged", [*munged, *places])
        until(pipe.exists, lambda: processes.log("munged"))
        processes.start("slurmctld", ["slurmctld", "-D", "-c"], **slurm.environment)
        processes.start("slurmd", ["slurmd", "-D", "-N", host], **slurm.environment)
        idle = ["sinfo", "--noheader", "--states=idle"]
        until(lambda: host in run([*idle, "--format=%n"], **slurm.environment).stdout)
        try:
            yield slurm
        finally:
            run(["scancel", "--full", *slurm.jobs()], **slurm.environment)
            until(lambda: not slurm.jobs(), slurm.jobs)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
