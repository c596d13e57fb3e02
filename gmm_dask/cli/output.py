"""Results on stdout; notes, warnings and progress on stderr.

Names come from others' files and folders: what a terminal would obey is shown as text, and what
follows a line break is set in, so that it looks like no line of ours.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger("gmm_dask")
FACTS = "facts"
"""What a record of the log may carry beside its sentence."""
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but tab and line feed, changes of direction, and bytes that are no UTF-8."""
_consoles: dict[bool, Console] = {}


def console(*, stderr: bool = False) -> Console:
    """The terminal, or a page wide enough for any table where there is none."""
    if stderr not in _consoles:
        from rich.console import Console

        made = Console(stderr=stderr, soft_wrap=True, highlight=False)
        _consoles[stderr] = made if made.is_terminal else Console(stderr=stderr, width=200)
    return _consoles[stderr]


def as_text(text: str) -> str:
    """What is told, with nothing in it that a terminal would obey."""
    return OBEYED.sub(lambda match: ascii(match[0])[1:-1], text)


def set_in(text: str) -> str:
    """The same, with all lines but the first set in."""
    return as_text(text).replace("\n", "\n  ")


def result(text: str) -> None:
    """A line of the result."""
    typer.echo(set_in(text))


def table(made: object) -> None:
    """A part of the result that has lines of its own."""
    typer.echo(as_text(str(made)))


def result_json(values: dict[str, Any]) -> None:
    """The whole result as one JSON object; what is no number in JSON is null."""
    typer.echo(_as_json(values))


def error(text: str) -> None:
    """Why the command did not end well."""
    typer.echo(error_line(text), err=True)


def error_line(text: str) -> str:
    """The same, not yet written."""
    return json_line("error", text) if in_json() else as_text(text)


def tell_version(wanted: bool) -> None:
    """The version, and nothing else."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"gmm-dask {version('gmm-dask')}")
        raise typer.Exit


def set_up(*, quiet: bool, verbose: bool, as_json: bool = False) -> None:
    """Log of the library and warnings as lines on stderr, plain ones or JSON objects."""
    # distributed sets its level when it is imported, which is later, and here and in workers.
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    lines = _JsonLines() if as_json else _Lines()
    logging.basicConfig(level=logging.WARNING, handlers=[lines], format="%(message)s", force=True)
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    logger.warning("%s", message)


class _Lines(logging.Handler):
    """One line per record, above a progress display where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        text = set_in(self.format(record))
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        if sys.stderr.isatty():
            console(stderr=True).print(text, markup=False, highlight=False)
        else:
            typer.echo(text, err=True)


class _JsonLines(logging.Handler):
    """One JSON object per record and line, for whoever collects logs; also on a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        facts = getattr(record, FACTS, {})
        line = json_line(record.levelname.lower(), self.format(record), record.name, facts)
        typer.echo(line, err=True)


def live() -> bool:
    """Whether a person looks on, who is shown what moves."""
    return sys.stderr.isatty() and logger.isEnabledFor(logging.INFO) and not in_json()


def in_json() -> bool:
    """Whether the log is one of JSON objects."""
    return any(isinstance(handler, _JsonLines) for handler in logging.getLogger().handlers)


def json_line(
    level: str, message: str, name: str = logger.name, facts: Mapping[str, Any] | None = None
) -> str:
    """A line of the log: when, how bad, by whom, what, and the facts in it by their names."""
    when = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"time": when, "level": level, "logger": name, "message": message}
    return _as_json({**entry, **(facts or {}), **entry})


def _as_json(values: dict[str, Any]) -> str:
    """On one line; what is no number in JSON is null."""
    text = json.dumps(_jsonable(values), allow_nan=False)  # escapes all but DEL
    return text.replace("\x7f", "\\u007f")


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if hasattr(value, "tolist"):
        return _jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
