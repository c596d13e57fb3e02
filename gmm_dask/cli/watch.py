"""`gmm-dask watch`."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from gmm_dask.cli import options, output

logger = logging.getLogger("gmm_dask")

EXAMPLE = "gmm-dask watch runs/rows"


def watch(
    run: options.Run,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
    json: options.Json = False,
) -> None:
    """Follow a running fit from its folder, from any machine that sees it, until it is finished."""
    from gmm_dask.cli.progress import Display
    from gmm_dask.runs import watch as watching
    from gmm_dask.runs.layout import model_place

    news = watching.watch(run, every=every)
    begun = next(news)
    if not isinstance(begun, watching.Begun):
        raise TypeError(begun)
    configuration = begun.configuration
    logger.info("%s: %s", run, begun.data)
    cap, tol = configuration.get("max_iter"), configuration.get("tol")
    with Display(most=cap, tol=tol) as display:
        for item in news:
            if isinstance(item, watching.Iteration):
                display.show(item.entry)
            elif isinstance(item, watching.Silence):
                logger.warning("%s", silence(run, item.seconds))
            elif isinstance(item, watching.Finished):
                result = dict(item.result)
    if json:
        output.result_json({"run": run, **result})
    else:
        output.result(
            f"finished: {result['reason']} after {result['iterations']} iterations; "
            f"mean log-likelihood {result['mean_log_likelihood']:.6f}; model: {model_place(run)}"
        )


def silence(run: str, seconds: float) -> str:
    """What to make of it."""
    from gmm_dask.runs.resumption import going_on

    return (
        f"no news for {seconds:.0f} s: the driver may be gone; {going_on(run)}, or says who has it"
    )
