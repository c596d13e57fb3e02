"""From options to a finished selection: its numbers, its run folder and its picture."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

from distributed import Client

from gmm_dask.cli.execution import InterruptedRun, default_runs
from gmm_dask.cli.outcome import resumable
from gmm_dask.cli.progress import Display
from gmm_dask.cli.signals import Interrupted, leaving_word
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.clusters.page import page_of
from gmm_dask.fitting.job import Job
from gmm_dask.fitting.journal import Rhythm
from gmm_dask.fitting.run_loop import Callback
from gmm_dask.fitting.selection import Selection, select
from gmm_dask.mixture.criteria import Criterion
from gmm_dask.runs.documents import keep_document
from gmm_dask.runs.layout import PICTURE
from gmm_dask.runs.resumption import interrupted, kept_of_selection, no_answer
from gmm_dask.settings.configuration import ConfigurationError
from gmm_dask.store.errors import RunDiffersError

logger = logging.getLogger("gmm_dask")

MOST = 10_000


@dataclass(frozen=True)
class Grid:
    """What is compared, and by what."""

    numbers: tuple[int, ...]
    families: tuple[str, ...]
    criterion: Criterion
    drop: bool

    def __len__(self) -> int:
        """How many candidates there are."""
        return len(self.numbers) * len(self.families)

    def fit(
        self,
        job: Job,
        client: Client | None,
        *,
        restart: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> Selection:
        """Fit all candidates as the job says, or go on in its run folder."""
        if job.start is not None:
            raise ConfigurationError("select draws its starts: init must name a way to draw them")
        settings = job.mixture.as_dict()
        del settings["components"], settings["covariance"]
        return select(
            job.source,
            self.numbers,
            self.families,
            criterion=self.criterion,
            drop=self.drop,
            client=client,
            cache=job.cache,
            run=job.run,
            restart=restart,
            checkpoint=Rhythm(job.checkpoint_every),
            callbacks=callbacks,
            opening=job.rows.arguments(),
            **settings,
        )


def numbers_of(told: str) -> list[int]:
    """`1:12` is 1 to 12, `2,4,8` these three, `1:3,8` both."""
    numbers: list[int] = []
    for part in told.split(","):
        first, colon, last = part.partition(":")
        try:
            low = int(first)
            high = int(last) if colon else low
        except ValueError:
            raise ConfigurationError(f"-k {told!r}: write 1:12 or 2,4,8") from None
        if not 1 <= low <= high <= MOST:
            raise ConfigurationError(f"-k {told!r}: {part!r} must rise from 1 up")
        numbers += range(low, high + 1)
    return list(dict.fromkeys(numbers))


def run(job: Job, grid: Grid, *, restart: bool) -> tuple[str, Selection]:
    """Fit all, or go on; the run folder and what was found."""
    rows = job.open()
    logger.info("comparing %d mixtures of %s", len(grid), rows.describe())
    with cluster_for(job.cluster, rows.nbytes) as client:
        for place in [job.run] if job.run is not None else default_runs(job.source, "-select"):
            logger.info("run folder: %s", place)
            dashboard = None if client is None else page_of(client)
            with (
                leaving_word(partial(_advice, place), interrupted(no_answer(place))),
                resumable(partial(kept_of_selection, place), no_answer(place)),
                Display(most=job.mixture.max_iter, dashboard=dashboard) as display,
            ):
                placed = replace(job, run=place)
                try:
                    found = grid.fit(placed, client, restart=restart, callbacks=[display.tell])
                    return place, found
                except RunDiffersError:
                    if job.run is not None:
                        raise
                except Interrupted:
                    raise InterruptedRun(_advice(place)) from None
    raise AssertionError("there is always another name")


def _advice(run: str) -> str:
    return interrupted(kept_of_selection(run))


def picture(found: Selection, run: str) -> str | None:
    """The curve, in the run folder; None, with a warning, where it cannot be drawn."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from gmm_dask.plots import criterion_curve
    except ImportError:
        logger.warning("no picture: it needs matplotlib: pip install 'gmm-dask[report]'")
        return None
    drawn = BytesIO()
    criterion_curve(found).figure.savefig(drawn, dpi=150, bbox_inches="tight")
    return keep_document(run, PICTURE, drawn.getvalue())
