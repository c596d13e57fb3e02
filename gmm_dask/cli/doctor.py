"""`gmm-dask doctor`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.cli.outcome import FAILURE
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.rows import RowOptions
from gmm_dask.store.addresses import PATIENCE

EXAMPLE = "gmm-dask doctor rows.zarr --scheduler tcp://127.0.0.1:8786 --out runs/rows"
IMPATIENT = "5"

LOOKED_AT = (
    *("array", "columns", "features", "sample_dims", "feature_dims"),
    *("reg_covar", "scheduler"),
)

MARKS = {"good": "[green]✓[/]", "note": "[yellow]![/]", "bad": "[red]✗[/]"}


@options.takes(RowOptions, Configuration, ClusterOptions, only=LOOKED_AT)
def doctor(
    source: Annotated[str | None, typer.Argument(help="Data to look at.")] = None,
    out: Annotated[str | None, typer.Option(help="Run folder that is to be written.")] = None,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Look for what stands in the way, here, on a cluster and in the data, and say what to do.

    Exit code 1 if something will not work.
    """
    from gmm_dask.doctor import examine

    # Who asks what is wrong does not want to wait until it has passed.
    os.environ.setdefault(PATIENCE, IMPATIENT)
    rows = RowOptions(**options.given_of(RowOptions, given))
    cluster = ClusterOptions(**options.given_of(ClusterOptions, given))
    added = options.given_of(Configuration, given).get("reg_covar", Configuration.reg_covar)
    findings = []
    examined = examine(
        source, opening=rows.arguments(), scheduler=cluster.scheduler, run=out, reg_covar=added
    )
    for finding in examined:
        findings.append(finding)
        if not json:
            show(finding)
    well = all(finding.level != "bad" for finding in findings)
    if json:
        output.result_json({"well": well, "findings": [asdict(finding) for finding in findings]})
    if not well:
        raise typer.Exit(FAILURE)


def show(finding: object) -> None:
    """A line, and a second one with what to do."""
    from rich.markup import escape

    fields = vars(finding)
    page = output.console()
    page.print(
        f"{MARKS[fields['level']]} {fields['subject']:<17}{escape(output.set_in(fields['told']))}"
    )
    if fields["advice"]:
        page.print(f"  {'':<17}→ {escape(output.set_in(fields['advice']))}")
