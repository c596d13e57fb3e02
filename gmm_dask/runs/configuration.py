"""The values in a TOML file, wherever it lies; in somebody else's, nothing that could run code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmm_dask.settings import toml
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.job import Job
from gmm_dask.store.addresses import is_url
from gmm_dask.store.location import open_folder


def load_values(path: str | os.PathLike[str], *, own_cluster: bool = False) -> dict[str, Any]:
    """The values in a TOML file, or in the config.toml of a run folder.

    Somebody else's may not say which class of clusters is started, and with what, for that may be
    any code (`preload`, prologues of jobs); with an `own_cluster` what it says of one is not used.
    """
    text = os.fspath(path)
    if is_url(text):
        text = text if text.endswith(".toml") else f"{text.rstrip('/')}/config.toml"
        parent, _, name = text.rpartition("/")
        values = toml.read(_decoded(open_folder(parent).read(name), text), Job, text)
        ours = own_cluster
    else:
        file, content, by_us = _file_at(text)
        values = toml.read(_decoded(content, str(file)), Job, str(file))
        ours = own_cluster or (by_us and _where_it_was_written(file, values))
    if not ours:
        _refuse_started(values.get("cluster", {}), text)
    return values


def _file_at(text: str) -> tuple[Path, bytes, bool]:
    """A configuration file, its content, and whether it is this user's, or root's."""
    try:
        file = Path(text).expanduser()
        file = file / "config.toml" if file.is_dir() else file
        with file.open("rb") as opened:
            return file, opened.read(), os.fstat(opened.fileno()).st_uid in (0, os.getuid())
    except (OSError, ValueError, RuntimeError) as problem:
        raise ConfigurationError(f"{text} cannot be read: {problem}") from None


def _where_it_was_written(file: Path, values: Mapping[str, Any]) -> bool:
    """Not in a run folder that was brought here: that one names another place as its own."""
    if not (file.parent / "run.json").exists():
        return True
    return Path(values.get("run", "")).resolve() == file.parent.resolve()


def _refuse_started(cluster: Mapping[str, Any], where: str) -> None:
    """Of a configuration that may be anybody's: no class to import, and nothing to make it with."""
    said = [name for name in ("kind", "arguments") if cluster.get(name)]
    if said:
        raise ConfigurationError(
            f"{where} may be somebody else's, and the {said[0]} of its cluster can run any code "
            "here: give a cluster of your own (--workers, --scheduler), or look at it and give "
            "your own copy of that file"
        )


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as problem:
        raise ConfigurationError(f"{name} cannot be read: {problem}") from None
