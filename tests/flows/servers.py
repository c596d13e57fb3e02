"""Prefect as a platform team runs it, on loopback: PostgreSQL, the server, a process worker."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
QUICK = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "2",
    "PREFECT_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
    "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "PT24H",
}
"""As in production, but that nothing waits for half a minute to look again."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: waited {seconds:.0f} s in vain"
        time.sleep(0.2)


def end_tree(process: subprocess.Popen[bytes], patience: float = 20) -> None:
    """End a process and all that it has started: asked first, killed in the end."""
    with suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(process.pid).children(recursive=True)]
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    with suppress(ProcessLookupError):
        process.kill()
    process.wait(10)


# -- PostgreSQL ---------------------------------------------------------------------------------


def program(name: str) -> str:
    """A program of PostgreSQL, which Debian does not put on the PATH."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    assert found, f"PostgreSQL's {name} is not installed"
    return found


def as_nobody() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "cwd": "/"}


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server of its own, with the SQLAlchemy address of its database.

    Its data are not among pytest's: whenever another pytest begins, those are closed to all users
    but root, and PostgreSQL dies at its next checkpoint, minutes later.
    """
    port, identity = free_port(), as_nobody()
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="postgres-"))
    if identity:
        os.chown(place, int(str(identity["user"])), int(str(identity["group"])))
    data = str(place / "data")
    subprocess.run(
        [program("initdb"), "-D", data, "-U", "gmm", "-A", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        **identity,
    )
    command = [program("postgres"), "-D", data, "-k", str(place), "-p", str(port)]
    with (folder / "postgres.log").open("ab") as log:
        server = subprocess.Popen(
            [*command, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
            stdout=log,
            stderr=log,
            **identity,
        )
    ready = [program("pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    try:
        until(lambda: not subprocess.run(ready, capture_output=True).returncode, 60, "PostgreSQL")
        yield f"postgresql+asyncpg://gmm@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(place)


# -- Prefect ------------------------------------------------------------------------------------


@dataclass
class Platform:
    """A Prefect server, the environment that reaches it, and a folder for runs and logs."""

    folder: Path
    environment: dict[str, str]
    server: subprocess.Popen[bytes]
    database: str

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def address(self) -> str:
        return self.environment["PREFECT_API_URL"]

    @property
    def interface(self) -> str:
        """Where a browser finds it."""
        return self.address.removesuffix("/api")

    def command(self, *arguments: str, seconds: float = 120) -> str:
        """A command of the README or of deploy/README.md, from the root of the repository."""
        done = subprocess.run(
            [str(BIN / arguments[0]), *arguments[1:]],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """The same, left running, its output in a log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [str(BIN / arguments[0]), *arguments[1:]],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def start_server(self) -> None:
        """Start it, again perhaps, and wait until it answers."""
        port = self.address.rpartition(":")[2].removesuffix("/api")
        self.server = self.start(
            "server", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port
        )
        until(self.answers, 120, "Prefect's server")

    def answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=5) as page:
            return page.status == 200
        return False

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of the pool, ended with all its flows."""
        process = self.start("worker", "prefect", "worker", "start", "--pool", "gmm")
        try:
            yield process
        finally:
            end_tree(process)


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """PostgreSQL, a Prefect server on it, the pool and the deployments of deploy/prefect.yaml."""
    with postgres(folder) as database:
        port = free_port()
        environment = {
            **os.environ,
            **QUICK,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PWD": str(ROOT),
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
            "GMM_DASK_RUNS": str(folder / "runs"),
        }
        there = Platform(folder, environment, None, database)  # type: ignore[arg-type]
        there.start_server()
        try:
            there.command("prefect", "work-pool", "create", "gmm", "--type", "process")
            deployed = ("deploy", "--prefect-file", "deploy/prefect.yaml", "--all")
            there.command("prefect", "--no-prompt", *deployed)
            there.command("python", "-m", "flows.automations", "apply", "deploy/automations")
            yield there
        finally:
            end_tree(there.server)
