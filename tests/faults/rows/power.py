"""Row 4: what a disk may hold after its power was cut, and that a run can go on from all of it.

The system calls of saves are recorded with their bytes and played to a model of a disk. It keeps
what was synced; of what was not, any part may be there: each file as it was at its last sync, as
written, cut short, or of full length and zeros; each change of a directory, or not, in any
combination. At random points of the record such states are drawn, written out, and loaded.
"""

import codecs
import re
import shutil
import subprocess
import sys
import tempfile
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from random import Random

from gmm_dask.models.model import load_model
from gmm_dask.store.errors import StorageError
from tests.faults.outcome import Outcome, Scale
from tests.store.dying import prepare
from tests.store.test_kills import check
from tests.store.test_power_loss import SAVES

CALLS = "openat,mkdir,write,fsync,link,rename,renameat2,unlink,unlinkat,rmdir"
CALL = re.compile(r"\d+ +(\w+)\((.*)\) += \d+(?:<.*>)?")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
DESCRIPTOR = re.compile(r"\d+<(/[^>]*)>")
LONGEST = 1_000_000
"""Bytes of a write that are recorded; no file of these saves is longer."""


@dataclass
class File:
    """Bytes as written, and as they were at the last sync."""

    written: bytes = b""
    synced: bytes | None = None


@dataclass
class Directory:
    """Names as they are, those at the last sync, and the changes since, in order."""

    names: dict[str, int] = field(default_factory=dict)
    synced: dict[str, int] = field(default_factory=dict)
    changes: list[dict[str, int | None]] = field(default_factory=list)

    def change(self, change: dict[str, int | None]) -> None:
        self.changes.append(change)
        _apply(self.names, change)


def _apply(names: dict[str, int], change: dict[str, int | None]) -> None:
    for name, inode in change.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


class Disk:
    """Inodes below one root; the root's own name is safe."""

    def __init__(self, root: Path) -> None:
        self.root = PurePath(root)
        self.inodes: list[File | Directory] = [Directory()]
        for path in sorted(root.rglob("*")):
            made: File | Directory = Directory()
            if path.is_file():
                content = path.read_bytes()
                made = File(content, content)
            self.directory(path.parent).names[path.name] = self.add(made)
        for inode in self.inodes:
            if isinstance(inode, Directory):
                inode.synced = dict(inode.names)

    def add(self, inode: File | Directory) -> int:
        self.inodes.append(inode)
        return len(self.inodes) - 1

    def number(self, path: PurePath) -> int:
        at = 0
        for name in path.relative_to(self.root).parts:
            directory = self.inodes[at]
            assert isinstance(directory, Directory)
            at = directory.names[name]
        return at

    def directory(self, path: PurePath) -> Directory:
        found = self.inodes[self.number(path)]
        assert isinstance(found, Directory)
        return found

    def has(self, path: PurePath) -> bool:
        try:
            self.number(path)
        except KeyError:
            return False
        return True

    def inside(self, path: str) -> bool:
        return PurePath(path).is_relative_to(self.root)

    def play(self, call: str, arguments: str) -> None:
        """One system call that came to its good end."""
        paths = [
            PurePath(_bytes(told).decode("utf-8", "replace")) for told in STRING.findall(arguments)
        ]
        held = DESCRIPTOR.match(arguments)
        if call in ("write", "fsync"):
            assert held
            if self.inside(held[1]) and self.has(PurePath(held[1])):
                self._touch(call, PurePath(held[1]), arguments)
        elif call == "openat":
            if "O_CREAT" in arguments and self.inside(str(paths[0])) and not self.has(paths[0]):
                self._name(paths[0], self.add(File()))
        elif call == "mkdir":
            self._name(paths[0], self.add(Directory()))
        elif call == "link":
            self._name(paths[1], self.number(paths[0]))
        elif call in ("rename", "renameat2"):
            self._rename(paths[0], paths[1], "RENAME_EXCHANGE" in arguments)
        else:
            path = PurePath(held[1]) / paths[0] if call == "unlinkat" and held else paths[0]
            self.directory(path.parent).change({path.name: None})

    def _touch(self, call: str, path: PurePath, arguments: str) -> None:
        inode = self.inodes[self.number(path)]
        if isinstance(inode, Directory):
            inode.synced, inode.changes = dict(inode.names), []
        elif call == "fsync":
            inode.synced = inode.written
        else:
            told = STRING.search(arguments)
            assert told
            inode.written += _bytes(told[1])

    def _name(self, path: PurePath, inode: int) -> None:
        self.directory(path.parent).change({path.name: inode})

    def _rename(self, old: PurePath, new: PurePath, exchange: bool) -> None:
        assert old.parent == new.parent, "a rename between directories is not modelled"
        there = self.number(new) if exchange else None
        self.directory(old.parent).change({new.name: self.number(old), old.name: there})

    # -- after a cut ----------------------------------------------------------------------------

    def left(self, draw: Random, where: Path) -> None:
        """Write out one of the states that a cut at this moment may leave."""
        self._write_out(0, where, draw)

    def _write_out(self, number: int, where: Path, draw: Random) -> None:
        inode = self.inodes[number]
        if isinstance(inode, File):
            where.write_bytes(_content(inode, draw))
            return
        where.mkdir(exist_ok=True)
        names = dict(inode.synced)
        mode = draw.random()
        kept = draw.randint(0, len(inode.changes))
        for at, change in enumerate(inode.changes):
            # in order up to some point, as journals have it; or any of them
            if at < kept if mode < 0.5 else draw.random() < 0.5:
                _apply(names, change)
        for name, child in names.items():
            self._write_out(child, where / name, draw)


def _content(file: File, draw: Random) -> bytes:
    if file.synced == file.written:
        return file.written
    cut = draw.randint(0, len(file.written))
    return draw.choice(
        [file.synced or b"", file.written, file.written[:cut], bytes(len(file.written))]
    )


def _bytes(told: str) -> bytes:
    decoded: bytes = codecs.escape_decode(told.encode())[0]  # type: ignore[attr-defined]
    return decoded


def cut(scale: Scale, seed: int) -> Outcome:
    """The power is cut at every call of each record, many times, and nothing stays unloadable."""
    states = 3000 if scale == "full" else 90
    outcome, draw = Outcome(), Random(seed)
    scenarios = ("first", "later", "model")
    for scenario in scenarios:
        with tempfile.TemporaryDirectory(prefix="faults-") as name:
            calls = _cut_in(scenario, Path(name), states // len(scenarios), draw, outcome)
            outcome.figures[f"calls recorded, {scenario}"] = calls
    return outcome


def _cut_in(scenario: str, here: Path, states: int, draw: Random, outcome: Outcome) -> int:
    root, after = here / "root", here / "after"
    root.mkdir()
    prepare(scenario, root)
    moments = list(_moments(Disk(root), _recorded(scenario, root, here / "trace")))
    for state in range(states):
        disk, told, call = moments[draw.randrange(len(moments))]
        with outcome.trying(f"{scenario}, state {state}, after {call}"):
            disk.left(draw, after)
            _good(after, scenario, told)
        shutil.rmtree(after)
    return len(moments)


def _recorded(scenario: str, root: Path, trace: Path) -> list[str]:
    tracer = ["strace", "-f", "-y", "-s", str(LONGEST), "-o", str(trace), "-e", f"trace={CALLS}"]
    subprocess.run([*tracer, sys.executable, "-c", SAVES, str(root), scenario], check=True)
    return trace.read_text(errors="replace").splitlines()


def _moments(disk: Disk, lines: list[str]) -> list[tuple[Disk, list[str], str]]:
    """The disk after each call that changed it, with what had been acknowledged by then."""
    found: list[tuple[Disk, list[str], str]] = []
    told: list[str] = []
    for line in lines:
        if acknowledged := re.search(r"ACKNOWLEDGED-(\w+)", line):
            told.append(acknowledged[1])
        elif str(disk.root) in line and (match := CALL.fullmatch(line)):
            disk.play(match[1], match[2])
        else:
            continue
        found.append((deepcopy(disk), list(told), line[:120]))
    return found


def _good(root: Path, scenario: str, told: list[str]) -> None:
    if scenario != "model":
        check(root, scenario, told)
        return
    try:
        components = load_model(root / "model").mixture.components
    except StorageError as problem:
        raise AssertionError(f"no model: {problem}") from problem
    assert components == 2 if told else components in (1, 2), "neither the old nor the new"
