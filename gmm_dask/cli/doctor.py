"""`gmm-dask doctor`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer

from gmm_dask.cli import options, output
from gmm_dask.cli.outcome import FAILURE
from gmm_dask.store.addresses import PATIENCE

EXAMPLE = "gmm-dask doctor rows.zarr --scheduler tcp://127.0.0.1:8786 --out runs/rows"
IMPATIENT = "5"

MARKS = {"good": "[green]✓[/]", "note": "[yellow]![/]", "bad": "[red]✗[/]"}


def doctor(
    source: Annotated[str | None, typer.Argument(help="Data to look at.")] = None,
    out: Annotated[str | None, typer.Option(help="Run folder that is to be written.")] = None,
    array: options.Array = None,
    columns: options.Columns = None,
    reg_covar: options.RegCovar = None,
    scheduler: options.Scheduler = None,
    json: options.Json = False,
) -> None:
    """Look for what stands in the way, here, on a cluster and in the data, and say what to do.

    Exit code 1 if something will not work.
    """
    from gmm_dask.doctor import examine
    from gmm_dask.settings.configuration import Configuration

    # Who asks what is wrong does not want to wait until it has passed.
    os.environ.setdefault(PATIENCE, IMPATIENT)
    opening = {"array": array, "columns": options.names(columns)}
    added = Configuration.reg_covar if reg_covar is None else reg_covar
    found = []
    for finding in examine(source, opening=opening, scheduler=scheduler, run=out, reg_covar=added):
        found.append(finding)
        if not json:
            show(finding)
    well = all(finding.level != "bad" for finding in found)
    if json:
        output.result_json({"well": well, "findings": [asdict(finding) for finding in found]})
    if not well:
        raise typer.Exit(FAILURE)


def show(finding: object) -> None:
    """A line, and a second one with what to do."""
    from rich.markup import escape

    told = vars(finding)
    page = output.console()
    page.print(f"{MARKS[told['level']]} {told['subject']:<17}{escape(output.set_in(told['told']))}")
    if told["advice"]:
        page.print(f"  {'':<17}→ {escape(output.set_in(told['advice']))}")
