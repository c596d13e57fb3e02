"""The newest releases of all that gmm-dask needs, for every CPython here, as one constraints file.

    make constraints

Sets up an environment for each CPython that `.ci/pythons` finds, installs everything into it, and
prints what is there: a line a package, or one for each run of Pythons that take the same release,
with a marker. The newest Python's line holds for those that come after it, too.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent


def pythons() -> dict[str, str]:
    """Version and path of every CPython here, oldest first."""
    told = subprocess.run([HERE / "pythons"], capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in reversed(told.splitlines()))


def releases(python: str, extras: str) -> dict[str, str]:
    """What pip installs today for this Python, by the packages' names."""
    with TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [str(Path(folder, "bin/python")), "-m", "pip", "--disable-pip-version-check"]
        wanted = ["install", "-q", "--editable", f"{HERE.parent}[{extras}]"]
        subprocess.run([*pip, *wanted], check=True, stdout=sys.stderr)
        told = subprocess.run(
            [*pip, "freeze", "--exclude-editable"], capture_output=True, text=True
        )
    return dict(line.split("==") for line in told.stdout.splitlines() if "==" in line)


def lines(found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The file's lines from releases by Python, oldest first."""
    versions = list(found)
    for name in sorted({name for of_one in found.values() for name in of_one}, key=str.lower):
        releases_of = {version: found[version].get(name) for version in versions}
        for release, run in groupby(versions, releases_of.__getitem__):
            if release is not None:
                yield f"{name}=={release}{marker(list(run), versions)}"


def marker(run: list[str], versions: list[str]) -> str:
    """For which Pythons a line holds; nothing for all."""
    bounds = []
    if run[0] != versions[0]:
        bounds.append(f'python_version >= "{run[0]}"')
    if run[-1] != versions[-1]:
        after = versions[versions.index(run[-1]) + 1]
        bounds.append(f'python_version < "{after}"')
    return f"; {' and '.join(bounds)}" if bounds else ""


if __name__ == "__main__":
    of_each = {version: releases(python, sys.argv[1]) for version, python in pythons().items()}
    made = "# Made by `make constraints`: the newest releases, for CPython"
    sys.stdout.write("\n".join([" ".join([made, *of_each]), *lines(of_each)]) + "\n")
