"""A process that refits, and is killed by its own hand at a moment that is given.

python -m tests.refitting.driver STORE MODELS (never | iteration N | promoting | hold)
"""

import os
import signal
import sys

from gmm_dask.models import versions
from tests.refitting.conftest import Store


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    place, models, *moment = sys.argv[1:]
    last = int(moment[1]) if moment[0] == "iteration" else None

    def tell(progress) -> None:
        if moment[0] == "hold" and progress.state.iteration == 1:
            print("holding", flush=True)  # noqa: T201
            sys.stdin.readline()
        if progress.state.iteration == last:
            die()

    if moment[0] == "promoting":  # the version is written, and the pointer is not
        versions.ModelVersions._decide = die
    Store(place, models).refit(callbacks=[tell])


if __name__ == "__main__":
    main()
