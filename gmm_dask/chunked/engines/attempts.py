"""Whether a pass that failed is tried again, as decided by what it failed with."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gmm_dask.chunked.engines.faults import ClusterError, kills_workers, passes_over
from gmm_dask.chunked.engines.shares import Runs
from gmm_dask.chunked.engines.suspects import killed
from gmm_dask.chunked.rows import Rows

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.5


class Attempts:
    """The attempts at one pass over these rows, of which there are `most`."""

    def __init__(self, rows: Rows, most: int) -> None:
        self.count = 1
        self._rows, self._most, self._kills = rows, most, 0

    def pause_after(
        self, problem: Exception, *, connected: bool, suspects: Runs, fallen: Callable[[], Runs]
    ) -> float:
        """Seconds until the next attempt; raises what another attempt would not mend.

        `suspects` are blocks in hand when this attempt failed; `fallen`, which takes a question to
        the scheduler, those of which worker after worker was lost.
        """
        self._kills += kills_workers(problem)
        if self._kills > 1:
            raise killed(self._rows, suspects) from problem
        if connected and not self._kills and not passes_over(problem):
            raise problem
        last = self.count >= self._most
        if last and connected and (blocks := fallen()):
            raise killed(self._rows, blocks) from problem
        if last or not connected:
            raise self._failed(problem, connected) from problem
        logger.warning("pass attempt %d failed, trying again: %s", self.count, problem)
        pause = FIRST_PAUSE * 2.0 ** (self.count - 1)
        self.count += 1
        return pause

    def _failed(self, problem: Exception, connected: bool) -> ClusterError:
        state = "" if connected else "; the scheduler is gone"
        return ClusterError(
            f"the pass failed after {self.count} attempts{state}; last fault: "
            f"{type(problem).__name__}: {problem}"
        )
