"""A process whose children take up a run one after another, each killed at some point of its work.

    python -m tests.runs.resuming WHERE STEPS TIMES

The first children die before their 1st, 2nd, ... STEPS-th change of the folder, then TIMES more at
random moments. They are forked here because starting Python anew would cost more than their work,
and this process itself never talks to the store, whose client does not bear forking.
"""

import contextlib
import os
import random
import signal
import sys
import time

import numpy as np
import obstore  # noqa: F401  (loaded once, for all children)

from gmm_dask.runs.checkpoint import keep, load_newest
from gmm_dask.store.folder import GuardedFolder
from gmm_dask.store.location import open_folder
from tests.runs.saving import save_checkpoint


def work(where: str, steps: int | None) -> None:
    left = steps

    def count_down() -> None:
        nonlocal left
        if left is not None:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    folder = GuardedFolder(open_folder(where), count_down)
    checkpoint = load_newest(folder)
    iteration = 0 if checkpoint is None else checkpoint.iteration
    if checkpoint is not None:
        assert checkpoint.state == {"at": iteration}
        assert np.array_equal(checkpoint.arrays["a"], np.full(1000, iteration))
    os.write(1, f"loaded {iteration}\n".encode())
    while True:
        iteration += 1
        save_checkpoint(folder, iteration, {"at": iteration}, {"a": np.full(1000, iteration)})
        os.write(1, f"saved {iteration}\n".encode())
        keep(folder, last=2)


def child(where: str, steps: int | None, told: int) -> None:
    os.dup2(told, 1)
    with contextlib.suppress(BaseException):
        work(where, steps)
    os.write(1, b"broke\n")
    os._exit(1)


def main(where: str, steps: int, times: int) -> None:
    moments = random.Random(0)
    for number in range(1, steps + times + 1):
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            child(where, number if number <= steps else None, writing)
        os.close(writing)
        with open(reading) as heard:
            sys.stdout.write(heard.readline())
            if number > steps:
                time.sleep(moments.uniform(0, 0.06))
                os.kill(process, signal.SIGKILL)
            sys.stdout.write(heard.read())
        os.waitpid(process, 0)
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
