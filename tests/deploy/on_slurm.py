"""A driver on SLURM: fits, waits until its jobs have lived their time and come again, fits again.

python on_slurm.py JOB.toml FIRST_RUN SECOND_RUN
"""

import sys
from dataclasses import replace

from distributed import Client

from gmm_dask.clusters.connection import cluster_for
from gmm_dask.fitting.jobs import fit_job, open_job
from gmm_dask.runs.configuration import load_values
from gmm_dask.settings.job import job_from
from tests.deploy.processes import until


def main(configuration: str, first: str, second: str) -> None:
    job = job_from(load_values(configuration))
    with cluster_for(job.cluster) as client:
        assert client is not None
        before = workers(client)
        fit_job(open_job(replace(job, run=first)), client)
        until(lambda: not before & workers(client))
        client.wait_for_workers(1, timeout=300)  # SLURM holds a job that was queued again: 120 s
        fit_job(open_job(replace(job, run=second)), client)


def workers(client: Client) -> set[str]:
    return set(client.scheduler_info(n_workers=-1)["workers"])


if __name__ == "__main__":
    main(*sys.argv[1:])
