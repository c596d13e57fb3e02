"""Checkpoints written in the background, so that writing overlaps the next pass.

Beside the newest few, two stay for those who copy the folder file by file meanwhile, and find that
the newest of their list are gone when they come to them: the run's first, for good, and one that
gives way to a newer one every ten minutes.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from numpy.typing import ArrayLike

from gmm_dask.runs.checkpoint import (
    Checkpoint,
    Shelf,
    Snapshot,
    complete_iterations,
    keep,
    take_snapshot,
    write_snapshot,
)
from gmm_dask.store.folder import Folder

SPARED_SECONDS = 600.0


class CheckpointWriter:
    """One write at a time; when `submit`, `flush` or `close` returns, the one before is durable.

    `before` runs ahead of every write, in its thread: what the checkpoint relies on is made
    durable there.
    """

    def __init__(
        self,
        folder: Folder,
        *,
        last: int = 3,
        before: Callable[[], None] | None = None,
        run_id: str | None = None,
    ) -> None:
        self._folder, self._last, self._before, self._run_id = folder, last, before, run_id
        self._shelf = Shelf()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[int] | None = None
        self._first: int | None = None
        self._spared, self._spared_at = 0, float("-inf")
        self.acknowledged: int | None = None

    def recall(self, checkpoint: Checkpoint) -> None:
        """Share with a checkpoint that was loaded what its state still holds."""
        self._shelf.recall(checkpoint)

    def submit(
        self,
        iteration: int,
        state: Mapping[str, object],
        arrays: Mapping[str, ArrayLike],
    ) -> None:
        """Begin to write; first wait for the write before, and raise what went wrong with it.

        State and arrays are copied here, but for those that are shared: they may change as soon as
        this returns.
        """
        self.flush()
        snapshot = take_snapshot(iteration, state, arrays)
        self._pending = self._thread.submit(self._write, snapshot)

    def flush(self) -> None:
        """Wait until all that was submitted is durable."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self.acknowledged = pending.result()

    def close(self) -> None:
        """Flush, and end the thread; may be called again."""
        try:
            self.flush()
        finally:
            self._thread.shutdown()

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except Exception as failure:
            if error is None:
                raise
            # The error under way comes first; that of the write is told beside it.
            error.add_note(f"The last checkpoint could not be written either: {failure}")

    def _write(self, snapshot: Snapshot) -> int:
        if self._before is not None:
            self._before()
        write_snapshot(self._folder, snapshot, self._run_id, self._shelf)
        spared = self._spared_beside(snapshot.iteration)
        keep(self._folder, self._last, upto=snapshot.iteration, spared=spared)
        return snapshot.iteration

    def _spared_beside(self, newest: int) -> tuple[int, int]:
        if self._first is None:
            self._first = min(complete_iterations(self._folder))
        if time.monotonic() - self._spared_at >= SPARED_SECONDS:
            self._spared, self._spared_at = newest, time.monotonic()
        return self._first, self._spared
