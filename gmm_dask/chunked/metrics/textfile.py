"""The numbers as a file in the folder that Prometheus's node_exporter reads (its textfile
collector): of fits whose driver nobody can ask, for it may be gone before anyone does.

One file for each model and source. What is added up goes on from what the file has; it is replaced
whole, and a folder that cannot be written costs a warning, no fit.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gmm_dask.chunked.metrics.definitions import FAMILIES, MetricFamily
from gmm_dask.chunked.metrics.meters import Book, Key, Meters, Place, complete

METRICS = "GMM_DASK_METRICS"
"""The environment variable that names the folder."""
EVERY_SECONDS, PATIENCE_SECONDS = 1.0, 2.0
LINE = re.compile(r'(?P<name>\w+)\{.*?(?:,(?:outcome|le)="(?P<label>[^"]*)")?\} (?P<value>\S+)')
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

logger = logging.getLogger("gmm_dask")
_logged: set[str] = set()


def kept_by_environment() -> Callable[[Mapping[str, Any]], None] | None:
    """What is to hear of a fit, where the environment asks for files."""
    folder = os.environ.get(METRICS)
    return TextFiles(Path(folder)).hear if folder else None


class TextFiles:
    """Hears what is told, and writes: at once how fits begin and end, else once a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._book = Book()
        self._written = float("-inf")

    def hear(self, event: Mapping[str, Any]) -> None:
        """One event."""
        place = self._book.hear(event)
        passing = event["event"] in ("pass", "iteration")
        if place is None or (passing and time.monotonic() - self._written < EVERY_SECONDS):
            return
        try:
            self._write(place, 0.0 if passing else PATIENCE_SECONDS)
        except Exception as problem:  # numbers less are no reason to lose a fit
            _warn(f"{METRICS}: no metrics are written to {self.folder}: {problem}")

    def _write(self, place: Place, patience: float) -> None:
        meters, path = self._book.meters[place], path_of(self.folder, place)
        with locked(self.folder, patience) as ours:
            if not ours:
                return
            replace(path, text_of(place, with_earlier(path, meters)))
        meters.added = {}
        self._written = time.monotonic()


def path_of(folder: Path, place: Place) -> Path:
    """A name that says the model, and is another for each model and source."""
    digest = hashlib.sha256("\n".join(place).encode(errors="surrogateescape")).hexdigest()[:8]
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", place[0].rpartition("/")[2])[:40]
    return folder / f"gmm_dask-{stem}-{digest}.prom"


@contextmanager
def locked(folder: Path, patience: float) -> Iterator[bool]:
    """Whether the folder is ours for now: whoever holds it may have been stopped, and no fit is to
    wait for that."""
    opened = os.open(folder / ".gmm_dask.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    end = time.monotonic() + patience
    try:
        while not (ours := _taken(opened)) and time.monotonic() < end:
            time.sleep(0.05)
        yield ours
    finally:
        os.close(opened)


def _taken(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def replace(path: Path, text: str) -> None:
    """Whole or not at all; readable for the exporter, which is another user."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, "utf-8", errors="backslashreplace")
    beside.chmod(0o644)
    beside.replace(path)


def with_earlier(path: Path, meters: Meters) -> dict[Key, float]:
    """All samples, going on from what the file has."""
    earlier = read(path)
    stood = {key: value for key, value in earlier.items() if _family(key[0]).kind == "gauge"}
    counted = {key: value for key, value in earlier.items() if key not in stood}
    sums = {key: counted.get(key, 0.0) + value for key, value in meters.added.items()}
    return complete({**counted, **sums}, {**stood, **meters.stands})


def read(path: Path) -> dict[Key, float]:
    """The samples in a file of ours; none in one that is not there, or nobody's."""
    try:
        lines = path.read_text("utf-8").split("\n")
        samples = [line for line in map(LINE.fullmatch, lines) if line and _known(line["name"])]
        return {(line["name"], line["label"] or ""): float(line["value"]) for line in samples}
    except (FileNotFoundError, ValueError):
        return {}


def text_of(place: Place, samples: Mapping[Key, float]) -> str:
    """As Prometheus reads it."""
    lines: list[str] = []
    for family in FAMILIES:
        own = {key: value for key, value in samples.items() if _family(key[0]) is family}
        if own:
            lines += [f"# HELP {family.full_name} {family.help}"]
            lines += [f"# TYPE {family.full_name} {family.kind}"]
            lines += [f"{_sample(place, family, key)} {value!r}" for key, value in own.items()]
    return "".join(f"{line}\n" for line in lines)


def _sample(place: Place, family: MetricFamily, key: Key) -> str:
    model, source = (part.translate(ESCAPED) for part in place)
    last = f',{family.label}="{key[1]}"' if key[1] else ""
    return f'{key[0]}{{model="{model}",source="{source}"{last}}}'


def _family(name: str) -> MetricFamily:
    return next(family for family in FAMILIES if family.has(name))


def _known(name: str) -> bool:
    return any(family.has(name) for family in FAMILIES)


def _warn(sentence: str) -> None:
    if sentence not in _logged:
        _logged.add(sentence)
        logger.warning(sentence)
