"""The matrix: a row each of what is tried, the bar it is held to, and the function that tries it.

A row's function has the form `run(scale, seed) -> Outcome` and makes all that it needs. It is named
here as "module:function" and imported only when its row runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from tests.faults.outcome import Outcome, Scale

Run = Callable[[Scale, int], Outcome]


@dataclass(frozen=True)
class Row:
    """One line of the matrix."""

    number: int
    tried: str
    bar: str
    run: str
    limit: float = 900.0
    """Seconds after which the row is ended and counts as hung."""
    lane: Literal["computing", "waiting", "soaking"] = "computing"
    """What it does most of the time. Rows of a lane run in turn, the lanes beside each other."""
    small: bool = True
    """Whether its small version runs in `make test`; else other tests there have it."""

    def function(self) -> Run:
        module, name = self.run.split(":")
        function: Run = getattr(import_module(module), name)
        return function


_HERE = "tests.faults.rows"
_INPUTS = "tests.faults.inputs"

_LISTED = (
    Row(
        1,
        "200 random kill -9 of the driver during fits",
        "0 completed iterations lost; every finished fit bit-identical to the undisturbed one",
        f"{_HERE}.drivers:killed",
        small=False,  # test_drivers.py
    ),
    Row(
        2,
        "SIGKILL before every file system call of save, clean-up and first save",
        "100% loadable, never older than the last acknowledged",
        f"{_HERE}.saves:killed",
        small=False,  # tests/store/test_kills.py
    ),
    Row(
        3,
        "ENOSPC and EIO at each such call; a really full disk",
        "the save raises, the previous checkpoint loads, the run names the last good iteration",
        f"{_HERE}.saves:refused",
    ),
    Row(
        4,
        "crash states of simulated power loss, at least 2,000",
        "100%",
        f"{_HERE}.power:cut",
    ),
    Row(
        5,
        "1,000 bit flips and truncations per checkpoint file and model file",
        "100% detected, falls back one with a warning",
        f"{_HERE}.damage:damaged",
    ),
    Row(
        6,
        "100 worker kills over at least 20 fits: in the sweep, in the merge, between iterations, "
        "during load, all at once",
        "bit-identical; at most 10 s + one iteration each",
        f"{_HERE}.workers:killed",
        limit=1200,
        lane="waiting",
    ),
    Row(
        7,
        "scheduler killed 20 times under a supervisor",
        "resumes within 30 s; same bits",
        f"{_HERE}.scheduler:killed",
        lane="waiting",
    ),
    Row(
        8,
        "worker stopped (SIGSTOP), silent partition, an 8 s blip",
        "at most 2 x ttl + 10 s; at most 45 s; no failure",
        f"{_HERE}.silence:silenced",
        lane="waiting",
        small=False,  # test_workers.py stops one; network namespaces need root
    ),
    Row(
        9,
        "all workers lost; all paused",
        "a typed error within timeout + 10 s; nothing ever hangs",
        f"{_HERE}.nobody:left",
        lane="waiting",
        small=False,  # test_no_way_on.py
    ),
    Row(
        10,
        "a block that kills its worker; a block too large for memory",
        "fails naming the block, within 60 s",
        f"{_HERE}.blocks:deadly",
        lane="waiting",
        small=False,  # test_no_way_on.py
    ),
    Row(
        11,
        "1, 2, 3, 8 workers; joining and leaving; shuffled completion; cached and streamed",
        "one digest",
        f"{_HERE}.workers:whatever_cluster",
        small=False,  # test_same_bits.py, test_workers.py
    ),
    Row(
        12,
        "resume from each of 20 iterations, for plain, accelerated, restarts, select",
        "bit-identical",
        f"{_HERE}.resuming:resumed",
    ),
    Row(
        13,
        "two drivers on one run folder",
        "the second leaves within 1 s with its own exit code, nothing written",
        f"{_HERE}.drivers:two",
        small=False,  # test_drivers.py
    ),
    Row(
        14,
        "Prefect: flow killed; runner and flow killed; server down 60 s; overlapping schedules",
        "recorded as crashed where Prefect can; completes; one runs; the next run resumes",
        f"{_HERE}.platform:struck",
        limit=1200,
        lane="waiting",
        small=False,  # tests/flows/test_platform.py
    ),
    Row(
        15,
        "NaN, ±inf, 1e160 at the first, a middle and the last row of each chunk",
        "error with path, global row, feature, chunk, count; before the first iteration",
        f"{_INPUTS}.values:unusable",
    ),
    Row(
        16,
        "accepted: f2 f4 f8, all ints, big-endian; refused: complex, bool, object, strings, dates, "
        "structured, 0-D, 3-D, 0 rows, 0 columns, K > rows, K < 1",
        "accepted equal the f8 cast to 1e-12; refused before any cluster work, one sentence each",
        f"{_INPUTS}.kinds:numbers",
    ),
    Row(
        17,
        "chunks split along features, irregular, one-row, empty, unknown",
        "the same fit to 1e-10, or a clear error",
        f"{_INPUTS}.chunkings:cut",
    ),
    Row(
        18,
        "missing chunk, missing store, group for array, corrupt chunk, array grown after the "
        "profile, read-only output, output exists, disk full while scoring",
        "error naming the key; nothing half-written taken for whole",
        f"{_INPUTS}.stores:broken",
    ),
    Row(
        19,
        "mean/sd 0 to 1e8, f8 and f4",
        "covariance ≤ 1e-10 (f8), ≤ 1e-5 beyond storage error (f4), positive definite always",
        f"{_INPUTS}.offsets:far",
    ),
    Row(
        20,
        "scaling by 2^±40, translation, permutation of rows, features, components",
        "equivariant ≤ 1e-10",
        f"{_INPUTS}.equivariance:equivariant",
    ),
    Row(
        21,
        "D = 500, duplicated rows, constant column, K above distinct points, empty component, one "
        "outlier at 1e9",
        "finite, or a typed error; events counted",
        f"{_INPUTS}.extremes:extreme",
    ),
    Row(
        22,
        "memory: 4 x the workers' limit streamed; a million iterations' worth of history; a soak",
        "bounded as documented; driver growth < 1 MB/h over a 20-minute soak",
        f"{_HERE}.memory:bounded",
        limit=2000,
        lane="soaking",
        small=False,  # test_memory.py
    ),
    Row(
        23,
        "fuzz (hypothesis, ≥ 50,000 cases): configuration files, source descriptions, checkpoint "
        "manifests, model attributes",
        "typed errors only",
        f"{_INPUTS}.fuzz:fuzzed",
    ),
    Row(
        24,
        "security: foreign and plain clients against TLS; non-loopback bind without TLS; path "
        "traversal and symlinks in run names; pickles in place of arrays; size bombs in declared "
        "shapes; a password in a URL; secrets in logs; names that are orders to a terminal; a "
        "configuration of others",
        "refused; nothing executed, allocated, escaped or printed",
        f"{_INPUTS}.security:secure",
    ),
    Row(
        25,
        "fits in threads, in turn, overlapping, begun in one and resumed in another",
        "one digest; BLAS has its threads back",
        f"{_HERE}.threads:any_thread",
    ),
    Row(
        26,
        "40 of 200,000 rows with three quarters of the weight, ten times",
        "a default fit ends less than 0.01 nats a row below the one that began with their labels",
        f"{_INPUTS}.weighing:uneven",
    ),
    Row(
        27,
        "two scorers of one place: at once; after a kill -9; while the first one's workers are "
        "stopped and go on afterwards",
        "the second leaves within 1 s and names the first; every value is of one model",
        f"{_HERE}.scorers:several",
        limit=1200,
        small=False,  # tests/scoring/test_score.py
    ),
    Row(
        28,
        "rows and weights written to during a fit: one value, a chunk, a row no longer finite; "
        "plain, accelerated, restarts, dropped components, select, resumed, on a cluster",
        "the next pass refuses them and says what it found; put back, the same bits; of 1,000 fits "
        "of rows, weights and starts of any size that stay, none is refused",
        f"{_INPUTS}.changing:rewritten",
    ),
    Row(
        29,
        "verify of models with means shifted by a standard deviation, covariances times four or "
        "permuted, other weights, noise; of right ones, however fitted, and beside other rows",
        "the wrong ones fail, the right ones hold",
        f"{_INPUTS}.wrong:told",
    ),
    Row(
        30,
        "40 copies of run folders taken file by file, quick and slow, in several orders, while "
        "their drivers go on",
        "each is resumed, and ends with the bits of the undisturbed run, history and all",
        f"{_HERE}.copies:taken",
    ),
    Row(
        31,
        "a frozen scheduler, a frozen store of rows, a port that takes connections and says "
        "nothing: waited for, and ended by SIGTERM and SIGINT meanwhile",
        "a word by the tenth second; an error within 100 s, 15 s for a port; ends within 15 s of a "
        "signal, the last checkpoint named",
        f"{_HERE}.endings:ended",
        limit=1200,
        lane="waiting",
        small=False,  # test_clusters.py, cli/test_interruption.py
    ),
    Row(
        32,
        "a flow whose run is in an object store: 503 and expired credentials for longer than it is "
        "waited for; kill -9 of its driver",
        "further at most 45 s after each; never Cancelled; the bits of an undisturbed fit",
        f"{_HERE}.leases:struck",
        limit=1200,
        lane="waiting",
        small=False,  # tests/flows/test_object_store.py
    ),
    Row(
        33,
        "commands whose store of rows and runs answers 503, hangs up or says that credentials have "
        "expired, for 20 s; in one process and on workers",
        "waited for, and said so; further at most 45 s after it is back; same bits",
        f"{_HERE}.leases:away",
        limit=1200,
        lane="waiting",
        small=False,  # cli/test_outages.py
    ),
    Row(
        34,
        "kill -9 of a driver whose run is in an object store, on this machine and on another",
        "the next one is further at most 45 s later; same bits",
        f"{_HERE}.leases:killed",
        limit=1200,
        lane="waiting",
        small=False,  # tests/store/test_lease.py
    ),
    Row(
        36,
        "two flows on one Dask scheduler: either ends first; one is killed beside the other",
        "both complete, with the bits of an undisturbed fit",
        f"{_HERE}.outages:shared",
        lane="waiting",
        small=False,  # tests/flows/test_platform.py
    ),
    Row(
        37,
        "Prefect's server away for ten minutes: a fit goes on, one ends, one is killed meanwhile",
        "no iteration lost or late; published, or started again, at most 45 s after it is back",
        f"{_HERE}.outages:server_away",
        limit=1800,
        lane="waiting",
        small=False,  # tests/flows/test_platform.py
    ),
    Row(
        40,
        "clusters that adapt, between 0 and 4 workers, to a long fit whose passes take seconds",
        "all 4 within 30 s of its beginning, none soon after its end; one digest",
        f"{_HERE}.adapting:adapted",
        lane="waiting",
    ),
    Row(
        41,
        "a scheduler's memory over 80 passes of 1,000 tasks: as deploy/dask.yaml sets it, and as "
        "nobody has set it",
        "less than 1 MB for every 4,000 tasks, after the first passes; of no task anything is left",
        f"{_HERE}.scheduler_memory:flat",
        limit=1500,
        small=False,  # chunked/test_reduce.py has what is kept
    ),
)

ROWS = {row.number: row for row in _LISTED}
