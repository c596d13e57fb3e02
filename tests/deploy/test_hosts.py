"""deploy/ssh/cluster on two hosts, and a fit whose wire is cut and healed."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.deploy.conftest import Work, bits
from tests.deploy.hosts import Network, Place, network_of
from tests.deploy.processes import BIN, DEPLOY, PATIENCE, ROOT, Processes, run, until, well

pytestmark = pytest.mark.needs("ip", "ss", "nsenter", "unshare", "openssl")
HERE, THERE = "10.77.0.1", "10.77.0.2"


@dataclass(frozen=True)
class Cluster:
    """Two hosts with a worker each, the first with the scheduler."""

    network: Network
    folder: Path
    environment: dict[str, str]

    def do(self, action: str) -> str:
        return well(
            [DEPLOY / "ssh" / "cluster", action, self.folder / "hosts.txt"], **self.environment
        )

    def told(self) -> str:
        return "\n".join(file.read_text() for file in self.folder.glob("*.log"))

    def arrivals(self, address: str) -> int:
        """How often a worker of this host has come."""
        log = self.folder / "scheduler.log"
        told = log.read_text().splitlines() if log.exists() else []
        return sum("Register worker" in line and address in line for line in told)


@pytest.fixture
def cluster(tmp_path: Path, certificates: Path, processes: Processes) -> Iterator[Cluster]:
    network = network_of(processes, {"here": HERE, "there": THERE})
    (tmp_path / "hosts.txt").write_text(f"# two hosts\nhere {HERE} 1\nthere {THERE} 1\n")
    environment = {
        "SSH": str(network.shell(tmp_path)),
        "DASK_CONFIG": str(shutil.copytree(certificates, tmp_path / "dask")),
        "GMM_DASK_HOME": str(ROOT),
        "GMM_DASK_BIN": str(BIN),
        "GMM_DASK_STATE": str(tmp_path),
        "WORKER_OPTIONS": "--memory-limit 1GB",
        # sooner than deploy/dask.yaml has it: 60 s, and 5 s for the knock at a door
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s",
    }
    cluster = Cluster(network, tmp_path, environment)
    try:
        yield cluster
    finally:
        for file in tmp_path.glob("*.pid"):  # what ssh has left running, as it does
            with suppress(psutil.NoSuchProcess):
                supervisor = psutil.Process(int(file.read_text()))
                for process in [supervisor, *supervisor.children(recursive=True)]:
                    process.kill()


def test_a_fit_survives_a_wire_that_is_cut_and_healed(
    cluster: Cluster, work: Work, alone: list[bytes], processes: Processes, tmp_path: Path
):
    address = cluster.do("start").strip()
    until(lambda: all(map(cluster.arrivals, (HERE, THERE))), cluster.told)
    here, there = cluster.network.hosts
    for host in (here, there):
        assert listening(host) <= {"127.0.0.1", host.address}, "open to whoever is near"
    history = tmp_path / "run" / "history.jsonl"
    fit = work.fit(tmp_path / "run", "--scheduler", address)
    driver = processes.start("driver", [*here.enter(), *fit], **cluster.environment)

    def on(iterations: int) -> int:
        """Wait until so many more are done."""
        before = lines(history)
        until(lambda: lines(history) >= before + iterations, cluster.told)
        return lines(history)

    assert on(2) < work.passes // 2
    cluster.network.cut(there)
    time.sleep(0.5)
    cluster.network.heal(there)  # before anyone has noticed
    on(2)
    assert cluster.arrivals(THERE) == 1
    cluster.network.cut(there)
    on(3)  # without the worker there
    cluster.network.heal(there)
    assert driver.poll() is None, "healed while the fit goes on"
    until(lambda: cluster.arrivals(THERE) == 2, cluster.told)  # its supervisor saw to it
    assert driver.wait(PATIENCE) == 0, processes.log("driver")
    assert bits(tmp_path / "run") == alone
    stops_by_its_own_word(cluster)


def stops_by_its_own_word(cluster: Cluster) -> None:
    """Supervisors pass the signal on, and start nothing again."""
    names = ["scheduler", "worker-here", "worker-there"]
    assert cluster.do("start"), "once more does no harm"
    assert cluster.do("status").splitlines() == [f"{name}: runs" for name in names]
    supervisors = [psutil.Process(int(file.read_text())) for file in cluster.folder.glob("*.pid")]
    everyone = [*supervisors, *(c for s in supervisors for c in s.children(recursive=True))]
    cluster.do("stop")
    assert cluster.do("status").splitlines() == [f"{name}: does not run" for name in names]
    assert len(everyone) > 2 * len(names)
    assert not psutil.wait_procs(everyone, timeout=PATIENCE)[1]


def listening(host: Place) -> set[str]:
    """The addresses at which anything waits for connections."""
    told = well([*host.enter(), "ss", "--listening", "--tcp", "--numeric", "--no-header"])
    return {line.split()[3].rpartition(":")[0] for line in told.splitlines()}


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.parametrize("action", ["begin", "start"])
def test_a_cluster_is_not_started_without_certificates(tmp_path, action):
    (tmp_path / "hosts.txt").write_text("here 127.0.0.1 1\n")
    done = run([DEPLOY / "ssh" / "cluster", action, tmp_path / "hosts.txt"], SSH="false")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
