"""A real queue: workers as jobs, over TLS, that come again after their time."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import bits
from tests.deploy.processes import BIN, DEPLOY, ROOT, Processes, until
from tests.deploy.slurm import Slurm, slurm_in

pytestmark = [
    pytest.mark.needs("slurmctld", "slurmd", "munged", "sbatch", "openssl"),
    pytest.mark.timeout(600),
]

JOB = """
source = "{source}"
[mixture]
components = 4
seed = 1
tol = 0.0
max_iter = {passes}
accelerate = "none"
[cluster]
kind = "dask_jobqueue.SLURMCluster"
workers = 2
[cluster.arguments]
interface = "lo"
cores = 1
processes = 1
memory = "1GB"
log_directory = "{folder}/logs"
worker_extra_args = ["--lifetime", "30s", "--lifetime-stagger", "1s", "--no-dashboard"]
scheduler_options = {{dashboard_address = "127.0.0.1:0"}}
"""


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    folder = tmp_path / "slurm"
    folder.mkdir()
    with slurm_in(folder) as running:
        yield running


def test_jobs_fit_and_after_their_lifetime_are_queued_again(
    work, alone, slurm: Slurm, certificates: Path, processes: Processes, tmp_path: Path
):
    configuration = tmp_path / "dask"
    shutil.copytree(certificates, configuration)
    shutil.copy(DEPLOY / "slurm" / "jobqueue.yaml", configuration)
    job, runs = tmp_path / "job.toml", [tmp_path / "first", tmp_path / "second"]
    job.write_text(JOB.format(source=work.source, passes=work.passes, folder=tmp_path))
    driver = processes.start(
        "driver",
        [BIN / "python", ROOT / "tests" / "deploy" / "on_slurm.py", job, *runs],
        DASK_CONFIG=str(configuration),
        GMM_DASK_JOB_SECONDS="5",
        **slurm.environment,
    )

    def told() -> str:
        logs = [file.read_text() for file in (tmp_path / "logs").glob("*")]
        return "\n".join([processes.log("driver"), str(slurm.jobs()), *logs])

    while driver.poll() is None:
        slurm.release()  # SLURM lets a job that was queued again wait for two minutes
        time.sleep(0.5)
    assert driver.returncode == 0, told()
    assert [bits(run) for run in runs] == [alone, alone]
    assert re.search(r"Restarts=[1-9]", slurm.ask("scontrol", "show", "job"))
    until(lambda: not slurm.jobs(), told)  # they go with their driver
