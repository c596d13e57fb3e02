"""`gmm-dask verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from gmm_dask.cli import options, output
from gmm_dask.cli.outcome import FAILURE
from gmm_dask.settings.rows import RowOptions

EXAMPLE = "gmm-dask verify runs/rows rows.zarr --sample-rows 5000"

SampleRows = Annotated[
    int, typer.Option(min=2, help="Most rows to check; of more, a sample is drawn.")
]


@options.takes(RowOptions)
def verify(
    model: options.Model,
    source: options.Source,
    sample_rows: SampleRows = 20_000,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Check every textbook identity of EM on a sample of rows, and the fit itself on all of them.

    Left sides come from the engine's statistics, right sides from the rows by definition. That the
    model is at rest is what one EM step would gain beside the tolerance of its fit; as its fit
    ended, its likelihood beside the one that is kept with it. Exit code 1 if one does not hold.
    """
    from gmm_dask.chunked.engines.choice import engine_over
    from gmm_dask.chunked.profile import profile
    from gmm_dask.fitting.jobs import open_chosen
    from gmm_dask.fitting.verification import verify_fit
    from gmm_dask.mixture.identities import Verification
    from gmm_dask.mixture.identities import verify as identities_of
    from gmm_dask.runs.inspection import model_at
    from gmm_dask.scoring.features import by_name, check_features

    stored = model_at(model)
    rows, _, _ = open_chosen(source, RowOptions(**options.given_of(RowOptions, given)))
    rows = by_name(rows, stored.feature_names)
    names, features = stored.feature_names, stored.mixture.features
    check_features(rows.source.address, rows.feature_names, features, names)
    with engine_over(rows, None, "none") as (engine, _):
        drawn = profile(engine, sample_rows=sample_rows, seed=seed).sample
    weights = None if rows.weights is None else drawn.represented
    textbook = identities_of(stored.mixture, drawn.rows, weights)
    verification = Verification((*textbook, *verify_fit(stored, rows)))
    if json:
        identities = [asdict(identity) for identity in verification]
        output.result_json(
            {"rows": len(drawn), "holds": verification.holds, "identities": identities}
        )
    else:
        output.result(f"{len(drawn):,} of {rows.shape[0]:,} rows of {rows.source.address}")
        output.table(verification)
    if not verification.holds:
        raise typer.Exit(FAILURE)
