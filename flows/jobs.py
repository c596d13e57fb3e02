"""From a filled-in form to a job, and to the run folder that it belongs to.

Knows names of runs; what a job does is the library's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from prefect.runtime import flow_run

from flows.defaults import over_defaults
from flows.forms import Form
from gmm_dask.fitting.jobs import OpenJob, job_of
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.job import Job
from gmm_dask.store.addresses import absolute

RUNS = "GMM_DASK_RUNS"
"""The environment variable that names the folder, or the bucket, of runs without a place."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def job_asked(
    source: str, run: str | None, cache: str, checkpoint_every: int, **sections: Form
) -> Job:
    """The job of a form, before any look at its source, for which credentials may be needed; its
    run is None until the rows are known."""
    values: dict[str, Any] = {name: over_defaults(form).given() for name, form in sections.items()}
    return job_of(
        {
            "source": source,
            "run": None if run is None else run_at(run),
            "cache": cache,
            "checkpoint_every": checkpoint_every,
            **values,
        }
    )


def run_at(run: str) -> str:
    """A path or URL as it is; a bare name is a folder under GMM_DASK_RUNS."""
    return place_of("run", run, os.environ.get(RUNS, "runs"))


def place_of(what: str, name: str, root: str) -> str:
    """A path or URL as it is; a bare name is a folder under the root, and stays inside it."""
    if "/" in name:
        return absolute(name)
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"{what} {name!r} is no name: begin with a letter or digit, go on with letters, "
            "digits, dots, - and _, 64 at most; or give a path"
        )
    return f"{absolute(root)}/{name}"


def with_run(opened: OpenJob, *about: object) -> OpenJob:
    """The job in the run folder that was given, or in the one of these very rows and settings."""
    job, rows = opened.job, opened.rows
    if job.run is not None:
        return opened
    identity = [job.mixture.identity(), job.start, job.rows.identity(), rows.fingerprint(), *about]
    text = json.dumps(identity, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return opened.at(run_at(f"{stem(job.source)}-{digest}"))


def stem(source: str) -> str:
    """The last part of an address, fit for names."""
    last = source.rstrip("/").rpartition("/")[2].partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]", "-", last).lstrip("-_")[:40] or "rows"


def last_part(source: str) -> str:
    """The last part of an address, for a person."""
    return source.rstrip("/").rpartition("/")[2]


def parameters() -> Mapping[str, Any]:
    """Of this flow run: for its name, before it begins."""
    return flow_run.parameters or {}


def field(form: Any, name: str) -> Any:
    """Of a form, which Prefect shows here as it was sent: checked, or still plain."""
    return form.get(name) if isinstance(form, Mapping) else getattr(form, name, None)
