"""What was acknowledged outlives a power cut: a model of a disk that keeps only what was synced.

A recorded save is played to that model. At each acknowledgement every file that is there must have
been synced after its last write, and every name, up to the run folder's own, must have been synced
with its directory. That is stronger than loading what a cut would leave.
"""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import pytest

pytestmark = pytest.mark.needs("strace")

SAVES = """
import os, sys
from pathlib import Path
from tests.store.dying import play
play(sys.argv[2], Path(sys.argv[1]), lambda what: os.write(1, b"ACKNOWLEDGED-" + what.encode()))
"""

CALL = re.compile(r"\d+ +(\w+)\((.*)\) += \d+(?:<.*>)?")
PATH = re.compile(r'"(/[^"]*)"')
DESCRIPTOR = re.compile(r"\d+<(/[^>]*)>")


@dataclass
class Disk:
    """Names lead to files (by number); what is in `named` and `filled` outlives a cut."""

    names: dict[str, int] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)
    filled: set[int] = field(default_factory=set)
    numbers: int = 0

    def play(self, call: str, arguments: str) -> None:
        paths = PATH.findall(arguments)
        described = DESCRIPTOR.match(arguments)
        if call == "mkdir" or (call == "openat" and "O_CREAT" in arguments):
            self.numbers += 1
            self.names[paths[-1]] = self.numbers
            if call == "mkdir":
                self.filled.add(self.numbers)
        elif call == "write" and described and described[1] in self.names:
            self.filled.discard(self.names[described[1]])
        elif call == "fsync" and described:
            self.sync(described[1])
        elif call in ("link", "rename"):
            self.names[paths[1]] = self.names[paths[0]]
        if call in ("unlink", "rename", "rmdir"):
            self.names.pop(paths[0])

    def sync(self, path: str) -> None:
        if path in self.names:
            self.filled.add(self.names[path])
        inside = {name for name in {*self.names, *self.named} if str(PurePath(name).parent) == path}
        for name in inside:
            if name in self.names:
                self.named[name] = self.names[name]
            else:
                self.named.pop(name, None)

    def unsafe(self) -> list[str]:
        return [
            name
            for name, number in self.names.items()
            if self.named.get(name) != number or number not in self.filled
        ]


@pytest.mark.parametrize("scenario", ["first", "later"])
def test_all_that_is_acknowledged_is_durable(tmp_path: Path, scenario: str) -> None:
    root, trace = tmp_path / "deep" / "run", tmp_path / "trace"
    calls = "trace=openat,mkdir,write,fsync,link,rename,unlink,unlinkat,rmdir"
    tracer = ["strace", "-f", "-y", "-s", "20", "-o", str(trace), "-e", calls]
    subprocess.run([*tracer, sys.executable, "-c", SAVES, str(root), scenario], check=True)
    disk, acknowledged, files = Disk(), 0, 0
    for line in trace.read_text().splitlines():
        if "ACKNOWLEDGED" in line:
            acknowledged += 1
            files += len(disk.names)
            assert disk.unsafe() == []
        elif str(tmp_path) in line and (match := CALL.fullmatch(line)):
            # Clean-up goes by descriptor, and what it removes is not looked for again.
            if match[1] == "unlinkat":
                directory, name = DESCRIPTOR.match(match[2]), re.search(r'"(.*)"', match[2])
                assert directory
                assert name
                disk.play("unlink", f'"{directory[1]}/{name[1]}"')
            else:
                disk.play(match[1], match[2])
    assert acknowledged == {"first": 1, "later": 3}[scenario]
    assert files >= 6
