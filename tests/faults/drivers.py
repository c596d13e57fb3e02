"""A process that forks drivers: each carries out the small fit in a run folder, and tells of it.

    python -m tests.faults.drivers

A line of JSON on its input starts a driver: {"source", "run", "scheduler" (or null), "cache"}. What
it tells, a line each, begins with the driver's process id: `begun`, `iteration N` (its checkpoint
is under way, the one before it is durable), `refused CLASS SECONDS`, `digest HASH`, and in the
end, told for it, `ended CODE`. Drivers are forked because Python's imports cost more than a fit.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

PATIENCE = 120.0


class Drivers:
    """The other end: starts drivers and hears what they tell."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: queue.Queue[str] = queue.Queue()
        self.listener = threading.Thread(target=self._listen)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def start(self, **order: Any) -> int:
        """The process id of a driver that has begun."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        while (told := self.hear())[1] != "begun":
            pass  # what an earlier driver has told after nobody listened any more
        return int(told[0])

    def hear(self, seconds: float = PATIENCE) -> tuple[str, ...]:
        """The next thing told, as words; queue.Empty when nothing is told in that time."""
        return tuple(self.lines.get(timeout=seconds).split(" "))


@contextmanager
def drivers() -> Iterator[Drivers]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.drivers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        started = Drivers(process)
        try:
            yield started
        finally:
            assert process.stdin is not None
            process.stdin.close()
            started.listener.join()


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, (os.getpid(), *words))) + "\n").encode())


def drive(order: dict[str, Any]) -> None:
    """One driver's life."""
    from distributed import Client

    from gmm_dask.fitting.run_loop import Progress
    from gmm_dask.store.errors import StorageError
    from tests.faults.fits import digest, fitted

    def after(progress: Progress) -> None:
        tell("iteration", progress.state.iteration)

    with ExitStack() as stack:
        client = None
        if order["scheduler"] is not None:
            client = stack.enter_context(Client(order["scheduler"], set_as_default=False))
        started = time.perf_counter()
        try:
            found = fitted(
                order["source"],
                client=client,
                cache=order["cache"],
                run=order["run"],
                callbacks=[after],
            )
        except StorageError as problem:
            tell("refused", type(problem).__name__, time.perf_counter() - started)
        else:
            tell("digest", digest(found))


def child(order: dict[str, Any]) -> None:
    code = 1
    try:
        tell("begun")
        drive(order)
        code = 0
    finally:
        os._exit(code)


def keep(order: dict[str, Any]) -> None:
    """Fork a driver, and tell of its end."""
    process = os.fork()
    if not process:
        child(order)
    _, status = os.waitpid(process, 0)
    os.write(1, f"{process} ended {os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def main() -> None:
    """A keeper for every order; this process itself has no threads, so that forking is safe."""
    import tests.faults.fits  # noqa: F401

    for line in sys.stdin:
        if not os.fork():
            keep(json.loads(line))


if __name__ == "__main__":
    main()
