"""Fit a Gaussian mixture to a Zarr store on a Dask cluster; started again, it resumes.

python -m flows.fit_mixture runs/blobs.zarr --components 8 --run runs/blobs
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("PREFECT_HOME", str(Path("runs", "prefect").resolve()))

from distributed import Client
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from pydantic import BaseModel, Field

from gmm_dask import Configuration, Fit, fit, open_rows
from gmm_dask.clusters import cluster_for
from gmm_dask.job import ClusterOptions
from gmm_dask.journal import iteration_line
from gmm_dask.journey import Progress
from gmm_dask.report import write_report

HISTORY_COLUMNS = ("iteration", "mean_log_likelihood", "change", "step", "components", "seconds")


class FitRequest(BaseModel):
    """Which mixture to fit to which rows, and where."""

    source: str = Field(title="Source", description="Path or URL of a Zarr array or group")
    components: int = Field(title="Components", description="K, the number of Gaussians", ge=1)
    run: str = Field(title="Run", description="Folder that keeps checkpoints and the model")
    array: str | None = Field(None, title="Array", description="Name of the array in a group")
    covariance: Literal["full", "tied", "diag", "spherical"] = Field(
        "full", title="Covariance", description="The family of covariances"
    )
    tol: float = Field(1e-4, title="Tolerance", description="Change of mean log-likelihood", ge=0)
    max_iter: int = Field(200, title="Most iterations", ge=0)
    n_init: int = Field(1, title="Starts", description="Raced on a sample of rows", ge=1)
    seed: int = Field(0, title="Seed")
    scheduler: str | None = Field(
        None, title="Scheduler", description="Address of a Dask scheduler; a local cluster if empty"
    )
    workers: int = Field(2, title="Workers", description="Of the local cluster", ge=1)

    def configuration(self) -> Configuration:
        """The library's configuration of this request."""
        return Configuration(
            self.components,
            self.covariance,
            tol=self.tol,
            max_iter=self.max_iter,
            n_init=self.n_init,
            seed=self.seed,
        )

    def cluster(self) -> ClusterOptions:
        """The cluster at the scheduler's address, or a local one of so many workers."""
        if self.scheduler is not None:
            return ClusterOptions(scheduler=self.scheduler)
        return ClusterOptions(workers=self.workers, threads=1)


@flow(name="fit-mixture", flow_run_name="{request.components} components of {request.source}")
def fit_mixture(request: FitRequest) -> dict[str, Any]:
    """Check the request, reach a cluster, fit or resume, and say what was found."""
    check(request)
    with cluster_for(request.cluster()) as client:
        if client is not None:
            get_run_logger().info("Dask dashboard: %s", client.dashboard_link)
        found = fit_rows(request, client)
    publish(request, found, write_report(request.run))
    return found.summary()


@task
def check(request: FitRequest) -> None:
    """Refuse what cannot be fitted before any cluster is started."""
    request.configuration()
    rows = open_rows(request.source, array=request.array)
    get_run_logger().info("fitting %d components to %s", request.components, rows.describe())


@task(cache_policy=None)
def fit_rows(request: FitRequest, client: Client | None) -> Fit:
    """Go on from the newest checkpoint of the run, or begin it; a finished one is left alone."""
    logger = get_run_logger()

    def tell(progress: Progress) -> None:
        logger.info(iteration_line(progress.entry))

    return fit(
        request.source,
        request.configuration(),
        array=request.array,
        run=request.run,
        client=client,
        callbacks=[tell],
    )


@task
def publish(request: FitRequest, found: Fit, report: str) -> None:
    """The history as a table, and where everything lies."""
    table = [{name: entry[name] for name in HISTORY_COLUMNS} for entry in found.history]
    create_table_artifact(table=table, key="history")
    create_markdown_artifact(
        key="fit",
        markdown=f"# {request.components} components of {request.source}\n\n"
        f"{found.reason}, after {found.passes} passes over {found.statistics.rows:,} rows.\n\n"
        f"Model: `{request.run}/model.zarr`, report: `{report}`\n\n```\n{found.mixture}\n```\n",
    )


def main() -> None:
    """The command line: the fields of a request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--components", "-k", type=int, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--array")
    parser.add_argument("--scheduler")
    parser.add_argument("--workers", type=int, default=2)
    request = FitRequest(**vars(parser.parse_args()))
    found = fit_mixture(request)
    print(  # noqa: T201  the result, for standard output
        f"{found['reason']}; {found['passes']} passes over {found['rows']:,} rows\n"
        f"model:  {request.run}/model.zarr\nreport: {request.run}/report.html"
    )


if __name__ == "__main__":
    main()
