"""The command `gmm-dask`, from the first argument to the exit code."""

import sys

from gmm_dask.cli.application import app
from gmm_dask.cli.outcome import explained
from gmm_dask.cli.signals import Interrupted, interruptible


def main() -> None:
    """Run the command; every way to end has its exit code."""
    try:
        with interruptible():
            app(prog_name="gmm-dask")
    except (Exception, Interrupted) as problem:
        sys.exit(explained(problem))
