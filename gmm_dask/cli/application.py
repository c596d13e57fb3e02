"""All commands under one name."""

import typer

from gmm_dask.cli import (
    agreement,
    data,
    doctor,
    fit,
    models,
    options,
    output,
    overlap,
    refit,
    report,
    sample,
    score,
    select,
    show,
    verify,
    warm,
    watch,
)

EPILOG = (
    "Exit codes: 0 done; 1 failure; 2 bad usage or bad input; 3 another driver holds the run; "
    "130 interrupted, and the run can be resumed."
    "\n\nExample: gmm-dask fit rows.zarr -k 8"
)


Log = typer.Option(
    "text", envvar="GMM_DASK_LOG", help="Lines on stderr: text, or a JSON object each."
)

app = typer.Typer(
    name="gmm-dask",
    help="Gaussian mixtures for data that fits no machine: EM on Dask, over Zarr.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Only warnings on stderr."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more; show tracebacks."),
    log: options.LogFormat = Log,
    version: bool = typer.Option(
        False, "--version", help="Print the version.", is_eager=True, callback=output.tell_version
    ),
) -> None:
    """Gaussian mixtures for data that fits no machine: EM on Dask, over Zarr."""
    del version
    output.set_up(quiet=quiet, verbose=verbose, as_json=log is options.LogFormat.json)


def command(name: str, function: object, example: str) -> None:
    """Add a command whose help ends with an example."""
    app.command(name, epilog=f"Example: {example}")(function)  # type: ignore[type-var]


command("fit", fit.fit, fit.EXAMPLE)
command("select", select.select, select.EXAMPLE)
command("refit", refit.refit, refit.EXAMPLE)
command("models", models.models, models.EXAMPLE)
command("score", score.score, score.EXAMPLE)
command("overlap", overlap.overlap, overlap.EXAMPLE)
command("agreement", agreement.agreement, agreement.EXAMPLE)
command("show", show.show, show.EXAMPLE)
command("report", report.report, report.EXAMPLE)
command("watch", watch.watch, watch.EXAMPLE)
command("sample", sample.sample, sample.EXAMPLE)
command("verify", verify.verify, verify.EXAMPLE)
command("doctor", doctor.doctor, doctor.EXAMPLE)
command("warm", warm.warm, warm.EXAMPLE)
app.add_typer(data.app, name="data")
