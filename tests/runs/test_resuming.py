"""A run killed again and again resumes from what was acknowledged, on files and on S3."""

import subprocess
import sys

from gmm_dask.runs.checkpoint import load_newest
from gmm_dask.store.location import open_folder

STEPS, TIMES = 25, 25


def test_killed_again_and_again(where: str) -> None:
    command = [sys.executable, "-m", "tests.runs.resuming", where, str(STEPS), str(TIMES)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    acknowledged, children = 0, 0
    for line in told.stdout.splitlines():
        what, _, number = line.partition(" ")
        if what == "loaded":
            children += 1
            # One more may have been whole when its writer died before it could say so.
            assert int(number) in (acknowledged, acknowledged + 1)
        else:
            assert what == "saved"
        acknowledged = int(number)
    assert children == STEPS + TIMES
    assert acknowledged > STEPS
    newest = load_newest(open_folder(where))
    assert newest is not None
    assert newest.iteration in (acknowledged, acknowledged + 1)
