"""`gmm-dask models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmm_dask.cli import options, output

if TYPE_CHECKING:
    from gmm_dask.models.versions import Standing

EXAMPLE = "gmm-dask models models/rows --rollback v0006"

Models = Annotated[str, typer.Argument(help="Folder of a model's versions: a path or URL.")]
Rollback = Annotated[
    str | None, typer.Option(help="Make this kept version the current one.", metavar="VERSION")
]
History = Annotated[bool, typer.Option("--history", help="Every decision, not only versions.")]


def models(
    models: Models,
    rollback: Rollback = None,
    history: History = False,
    json: options.Json = False,
) -> None:
    """The versions of a model, which of them is current, and how each came to be."""
    from gmm_dask.models.versions import look_at_versions, open_versions

    if rollback is not None:
        with open_versions(existing(models)) as held:
            held.roll_back(rollback)
    standing = look_at_versions(existing(models))
    assert standing is not None
    if json:
        output.result_json(values_of(models, standing))
        return
    output.table(history_table(standing) if history else versions_table(standing))


def existing(where: str) -> str:
    """The folder, if there are models: looking for them is no reason to make it."""
    from gmm_dask.models.versions import look_at_versions
    from gmm_dask.store.errors import KeyMissingError

    if look_at_versions(where) is None:
        raise KeyMissingError(
            f"there are no models at {where}; `gmm-dask refit SOURCE --models {where} -k K` makes "
            "the first"
        )
    return where


def values_of(where: str, standing: Standing) -> dict[str, Any]:
    """For a program."""
    from gmm_dask.models.versions import model_place

    current = None if standing.current is None else model_place(where, standing.current)
    return {
        "current": standing.current,
        "model": current,
        "versions": [
            {"version": name, "current": name == standing.current, **standing.promotion(name)}
            for name in reversed(standing.versions)
        ],
        "history": list(standing.decisions),
    }


def versions_table(standing: Standing) -> str:
    """The kept ones, newest first."""
    lines = [("version", "when", "rows", "mean log density", "gain", "")]
    for name in reversed(standing.versions):
        made = standing.promotion(name)
        compared = made.get("comparison") or {}
        lines.append(
            (
                name,
                str(made.get("when", "")),
                f"{made['rows']:,}" if "rows" in made else "",
                _number(compared.get("after"), "{:.6f}"),
                _number(compared.get("gain"), "{:+.4g}"),
                "current" if name == standing.current else "",
            )
        )
    return aligned(lines)


def history_table(standing: Standing) -> str:
    """Every decision, newest first."""
    lines = [("when", "decision", "version", "rows", "new", "gain", "drift", "alarms")]
    for one in reversed(standing.decisions):
        compared = one.get("comparison") or {}
        lines.append(
            (
                str(one["when"]),
                str(one["outcome"]),
                str(one["version"]),
                f"{one['rows']:,}" if "rows" in one else "",
                f"{one['new_rows']:,}" if "new_rows" in one else "",
                _number(compared.get("gain"), "{:+.4g}"),
                _number(one.get("drop"), "{:+.4g}"),
                "; ".join(one.get("alarms", ())),
            )
        )
    return aligned(lines)


def aligned(lines: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their widest word."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
