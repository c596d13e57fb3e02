"""Resumes a run whose history is as long as it is told to be, and tells what that took.

python -m tests.faults.rows.history SOURCE RUN ITERATIONS
"""

import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

from gmm_dask.fitting.run_loop import Progress
from tests.faults.fits import fitted


class Stopped(Exception):  # noqa: N818 - no error
    pass


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def lengthen(history: Path, iterations: int) -> None:
    """So many entries before the run's own, like its first."""
    own = history.read_text()
    entry = json.loads(own.splitlines()[0])
    with history.open("w") as out:
        out.writelines(
            json.dumps({**entry, "iteration": -i}) + "\n" for i in range(iterations, 0, -1)
        )
        out.write(own)


def main(source: str, run: str, iterations: str) -> None:
    def tell(progress: Progress) -> None:
        if progress.state.iteration == 5:
            raise Stopped

    with suppress(Stopped):
        fitted(source, run=run, callbacks=[tell])
    history = Path(run) / "history.jsonl"
    lengthen(history, int(iterations))
    size = history.stat().st_size
    before, started = peak(), time.monotonic()
    found = fitted(source, run=run)
    told = {
        "entries": len(found.history),
        "file": size,
        "memory": peak() - before,
        "seconds": time.monotonic() - started,
        "weights": found.mixture.weights.tolist(),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
