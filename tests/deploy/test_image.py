"""What the image would run, as processes: the files that its Dockerfile copies, in an environment
of their own, with the words and variables of compose.yaml and kubernetes/cluster.yaml, on a network
of their own (so the ports are the real ones). There is no container here, and nothing of one.

By default the fresh environment has this package from a wheel, and finds the others in the one that
runs the tests. All of them from constraints.txt instead, which takes minutes:

GMM_DASK_FRESH=1 python -m pytest --timeout 1800 tests/deploy/test_image.py
"""

import os
import re
import shlex
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import bits
from tests.deploy.hosts import Place, first
from tests.deploy.processes import (
    BIN,
    CLEAN,
    DEPLOY,
    ROOT,
    Processes,
    processes_in,
    run,
    until,
    well,
)

pytestmark = pytest.mark.needs("ip", "nsenter", "unshare", "openssl")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")


@dataclass(frozen=True)
class Image:
    """A folder for the image's root, and its network."""

    root: Path
    processes: Processes
    network: Place

    def path(self, text: str) -> str:
        """Where the image's own folders are here, and other containers' names."""
        text = re.sub(r"(?<![\w/])/(opt/gmm-dask|certificates)", rf"{self.root}/\1", text)
        return re.sub(r"tls://[a-z][\w.-]*:", "tls://127.0.0.1:", text)

    def variables(self, more: dict[str, str]) -> dict[str, str]:
        """Those of the Dockerfile, and those that a service adds; compiled for this machine, whose
        own fits have other bits than those for the image's target."""
        told = re.search(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
        assert told is not None
        own = dict(pair.split("=", 1) for pair in shlex.split(told[1]))
        own = {name: value for name, value in own.items() if not name.startswith("NUMBA_")}
        found = {key: self.path(str(value)) for key, value in (own | more).items()}
        return found | {"PATH": found["PATH"].replace("$PATH", CLEAN.get("PATH", ""))}

    def start(self, name: str, words: list[str], more: dict[str, str]) -> None:
        self.processes.start(
            name, [*self.network.enter(), *self.words(words)], **self.variables(more)
        )

    def do(self, words: list[str], more: dict[str, str]) -> str:
        return well([*self.network.enter(), *self.words(words)], **self.variables(more))

    def words(self, words: list[str]) -> list[str]:
        """In the image's working directory, as an engine would start it."""
        command = shlex.join(self.path(word) for word in words)
        return ["sh", "-c", f"cd {self.root}/opt/gmm-dask && exec {command}"]

    def healthy(self, more: dict[str, str]) -> bool:
        check = re.search(r"HEALTHCHECK .* CMD \[(.*)\]", DOCKERFILE)
        assert check is not None
        words = self.words(re.findall(r'"(.*?)"', check[1]))
        return run([*self.network.enter(), *words], **self.variables(more)).returncode == 0

    def wait(self, name: str, more: dict[str, str]) -> None:
        told = partial(self.processes.log, name)
        until(lambda: self.healthy(more), told, pause=0.5)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages of the Dockerfile leave behind."""
    build, root = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("image")
    home = root / "opt" / "gmm-dask"
    home.mkdir(parents=True)
    for line in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            place = build if target in (".", "./", source) else home
            copied(ROOT / source, place / source)
    environment = home / ".venv"
    well([sys.executable, "-m", "venv", "--without-pip", environment])
    install(build, environment)
    return root


def copied(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def install(build: Path, environment: Path) -> None:
    """The Dockerfile's own pip command, or all but this package from the tests' environment."""
    pip = [BIN / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    into = [*pip, "--python", environment / "bin" / "python", "install"]
    if os.environ.get("GMM_DASK_FRESH"):
        extras = re.search(r"'\.(\[.*?\])'", DOCKERFILE)
        assert extras is not None
        limits = ["--constraint", ROOT / "constraints.txt"]
        subprocess.run([*into, *limits, f"{build}{extras[1]}"], check=True)
        return
    well([*into, "--no-deps", build])
    (found,) = environment.glob("lib/python*/site-packages")
    (found / "tests.pth").write_text("\n".join(site.getsitepackages()))
    for name in ("dask", "prefect"):
        script = (BIN / name).read_text().replace(str(BIN), str(environment / "bin"))
        (environment / "bin" / name).write_text(script)
        (environment / "bin" / name).chmod(0o755)


@pytest.fixture
def image(built: Path, tmp_path: Path) -> Iterator[Image]:
    """Started anew, with nothing running."""
    shutil.rmtree(built / "certificates", ignore_errors=True)
    with processes_in(tmp_path) as processes:
        network = first(processes, "network")
        network.ip("link", "set", "lo", "up")
        yield Image(built, processes, network)


def test_the_compose_file_s_cluster_fits(image: Image, work, alone, tmp_path):
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    variables = {name: plain(service["environment"]) for name, service in services.items()}
    words = {name: split(service.get("command", "")) for name, service in services.items()}
    image.do(words["certificates"], variables["certificates"])
    for name in ("scheduler", "worker"):
        assert not image.healthy(variables[name])
        image.start(name, words[name], variables[name])
    for name in ("scheduler", "worker"):
        image.wait(name, variables[name])
    driver = variables["prefect-worker"] | {"HEALTH": ""}
    fit = work.fit(tmp_path / "run", "--scheduler", "tls://scheduler:8786")
    image.do(["gmm-dask", *map(str, fit[1:])], driver)
    assert image.healthy(driver)
    assert bits(tmp_path / "run") == alone
    origin = image.do(["python", "-c", "import gmm_dask; print(gmm_dask.__file__)"], driver)
    assert origin.startswith(str(image.root))


def plain(environment: dict[str, Any]) -> dict[str, str]:
    """Without what only deploy/.env knows, and with what has a default."""
    given = {key: str(value) for key, value in environment.items()}
    return {key: value for key, value in given.items() if "${" not in value}


def split(command: Any) -> list[str]:
    text = command if isinstance(command, str) else shlex.join(command)
    return shlex.split(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text))


def test_the_pods_of_the_dask_operator_answer_their_probes(image: Image):
    cluster = next(yaml.safe_load_all((DEPLOY / "kubernetes" / "cluster.yaml").read_text()))
    image.do(["deploy/tls/make-certificates", "/certificates"], {})
    pods = {
        role: cluster["spec"][role]["spec"]["containers"][0] for role in ("scheduler", "worker")
    }
    for role, container in pods.items():
        given = {one["name"]: one["value"] for one in container["env"]}
        words = [word.replace("$(DASK_WORKER_NAME)", "one") for word in container["args"]]
        image.start(role, words, given)
    for role, container in pods.items():
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe"):
            at = container[probe]["httpGet"]
            url = f"http://127.0.0.1:{ports[at['port']]}{at['path']}"
            image.wait(role, {"HEALTH": url})
    until(lambda: "Register worker" in image.processes.log("scheduler"))
    wanted = {"HEALTH": "http://127.0.0.1:8787/api/v1/adaptive_target"}  # the operator's question
    assert image.healthy(wanted)
