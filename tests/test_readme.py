"""Every command and snippet in the READMEs runs, so that none can rot."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = [path for path in (ROOT / "README.md", ROOT / "data" / "README.md") if path.exists()]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list:
    return [
        pytest.param(match[2], id=f"{path.relative_to(ROOT)}-{number}")
        for path in READMES
        for number, match in enumerate(FENCE.finditer(path.read_text()))
        if match[1] == language
    ]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A folder as the repository is, but for what was made in it, and the console script."""
    for name in ("data", "flows", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    scripts = Path(sys.executable).parent
    assert shutil.which("gmm-dask", path=str(scripts)), "the console script is not installed"
    return os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "COLUMNS": "100"}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("snippet", blocks("python"))
def test_python(snippet, tmp_path, environment):
    assert run([sys.executable, "-W", "error", "-c", snippet], tmp_path, environment)


@pytest.mark.parametrize("commands", blocks("sh"))
def test_shell(commands, tmp_path, environment):
    run(["bash", "-euo", "pipefail", "-c", commands], tmp_path, environment)


def test_there_is_something_to_run():
    assert len(blocks("python")) >= 1
    assert len(blocks("sh")) >= 2


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert "://" in target or (path.parent / target).exists(), target
