"""What lies in a run folder, and under which name: no module elsewhere spells one of these.

    run.json             write-once: what the run is: configuration, data, seed, versions, and an id
    profile.json         write-once: the first pass: counts, moments, extremes
    sample.npz           write-once: at most 2,000 rows, for pictures and checks
    history.jsonl        a line per iteration, see history.py
    checkpoints/         see checkpoint.py
    FINISHED.json        write-once: the result; such a run has nothing left to do
    performance.html     Dask's own report, where it was asked for

    model.zarr           see model.py; that of an unfinished run is an earlier attempt's
    config.toml, report.html, selection.png     see documents.py
    overlap.json         which components of the model share rows, where that was asked

In an object store the first seven lie below `attempt-00000001/`, and a restart begins the next
attempt; on files a restart renames the old folder to `<run>.old-1`.
"""

import os

from gmm_dask.models.model import MODEL
from gmm_dask.store.location import Location

RECORD, FINISHED = "run.json", "FINISHED.json"
PROFILE, SAMPLE = "profile.json", "sample.npz"
HISTORY, BATCHES = "history.jsonl", "history"
"""On files, and in an object store, where nothing can be appended to."""
CHECKPOINTS = "checkpoints"
PERFORMANCE_REPORT = "performance.html"
CONFIGURATION, REPORT, PICTURE = "config.toml", "report.html", "selection.png"
OVERLAP = "overlap.json"


def place_in(run: Location, name: str) -> str:
    """The path or URL of what a run keeps under a name."""
    return f"{os.fspath(run).rstrip('/')}/{name}"


def model_place(run: Location) -> str:
    """Where the model of a run is, or will be."""
    return place_in(run, MODEL)
