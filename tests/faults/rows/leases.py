"""Rows 32 to 34: runs in an object store whose drivers are killed, or which goes away.

The store is a real S3 server behind a proxy that misbehaves on command.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gmm_dask.models.model import load_model
from gmm_dask.runs.view import look_at_run
from tests.faults.cluster import until
from tests.faults.outcome import Outcome, Scale
from tests.flows.asking import Asking
from tests.flows.outlasting import struck as struck_on
from tests.flows.servers import platform
from tests.flows.slow import stored
from tests.store.unruly import BUCKET, Unruly, unruly

BAR = 45.0
"""Seconds beyond the outage, or the kill, until a fit has come further."""
PATIENCE = 20.0
"""Of a flow: outages of row 32 are longer."""
OUTAGE = {"small": 4.0, "full": 20.0}
COMMAND = [sys.executable, "-m", "gmm_dask"]
MAKE = "data make blobs --rows 4000 --features 2 --components 3 --chunk-rows 1000 --out"
SOURCE = f"{BUCKET}/rows.zarr"


def struck(scale: Scale, seed: int) -> Outcome:
    """Row 32: a flow, through two outages that its task does not outlast, and a kill."""
    del scale, seed  # one of each takes minutes
    outcome = Outcome()
    with TemporaryDirectory(prefix="gmm-leases-") as made, unruly() as proxy:
        rows = stored(Path(made))
        with (
            platform(Path(made) / "platform") as there,
            Asking.of(there) as asking,
            there.worker(),
            outcome.trying("503, expired credentials, kill -9", cases=3),
        ):
            found = struck_on(asking, proxy, rows, Path(made) / "undisturbed", PATIENCE)
            for after, seconds in found.took.items():
                outcome.recovered(seconds, bar=BAR, after=after)
                outcome.figures[after] = f"{seconds:.1f} s"
    return outcome


def away(scale: Scale, seed: int) -> Outcome:
    """Row 33: commands, in this process and on workers, whose store of rows and runs goes away."""
    del seed
    outcome = Outcome()
    with TemporaryDirectory(prefix="gmm-leases-") as made, unruly() as proxy:
        _done(proxy, made, *MAKE.split(), SOURCE)
        _done(proxy, made, *_fit("undisturbed"))
        kinds = ("503", "dropped", "expired") if scale == "full" else ("dropped",)
        for how in kinds:
            for options in ((), ("--workers", "2")) if scale == "full" else ((),):
                what = " ".join([how, *options])
                with outcome.trying(what):
                    _outlasted(outcome, proxy, made, what, how, options, OUTAGE[scale])
    return outcome


def _outlasted(
    outcome: Outcome,
    proxy: Unruly,
    folder: str,
    what: str,
    how: str,
    options: tuple[str, ...],
    seconds: float,
) -> None:
    name = what.replace(" ", "-")
    with _fitting(proxy, folder, name, *options) as fitting:
        before = len(proxy.checkpoints(name))
        with proxy.during(how):
            time.sleep(seconds)
            tried = len(proxy.checkpoints(name))
        began = time.monotonic()
        until(lambda: len(proxy.checkpoints(name)) > tried + 1 or fitting.poll() is not None)
        outcome.recovered(time.monotonic() - began, bar=BAR, after=what)
        told, _ = fitting.communicate(timeout=300)
    assert tried >= before
    assert fitting.returncode == 0, told
    assert "Traceback" not in told, told
    assert seconds < 12 or "has not answered for 10 s" in told, told
    assert _bits(name) == _bits("undisturbed")


def killed(scale: Scale, seed: int) -> Outcome:
    """Row 34: SIGKILL of a driver here, and of one on what is another machine as far as it knows:
    process numbers of its own. The next one is started at once."""
    del seed
    outcome = Outcome()
    elsewhere = ["unshare", "--pid", "--fork", "--kill-child"]
    with TemporaryDirectory(prefix="gmm-leases-") as made, unruly() as proxy:
        _done(proxy, made, *MAKE.split(), SOURCE)
        _done(proxy, made, *_fit("undisturbed"))
        for what, within in (("here", []), ("elsewhere", elsewhere))[: 2 if scale == "full" else 1]:
            with outcome.trying(f"a driver {what}"):
                with _fitting(proxy, made, what, within=within) as first:
                    reached = _reached(what)
                    os.killpg(first.pid, signal.SIGKILL)
                    first.wait()
                began = time.monotonic()
                with _fitting(proxy, made, what, beyond=reached) as second:
                    outcome.recovered(time.monotonic() - began, bar=BAR, after=f"{what}, killed")
                    told, _ = second.communicate(timeout=300)
                assert second.returncode == 0, told
                assert _bits(what) == _bits("undisturbed")
    return outcome


@contextmanager
def _fitting(
    proxy: Unruly,
    folder: str,
    name: str,
    *options: str,
    within: list[str] | None = None,
    beyond: int = 2,
) -> Iterator[subprocess.Popen[str]]:
    """A fit that has come beyond some iteration; ended with all that it has started."""
    fitting = subprocess.Popen(
        [*(within or []), *COMMAND, *_fit(name), *options],
        cwd=folder,
        env={**os.environ, **proxy.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: fitting.poll() is not None or _reached(name) > beyond)
        yield fitting
    finally:
        if fitting.poll() is None:
            os.killpg(fitting.pid, signal.SIGKILL)
        fitting.wait()
        assert fitting.stdout is not None
        fitting.stdout.close()


def _reached(name: str) -> int:
    """The newest iteration that is kept; not asked for too often."""
    time.sleep(0.3)
    run = look_at_run(f"{BUCKET}/{name}")
    return max(run.iterations_kept, default=0) if run else 0


def _fit(name: str) -> list[str]:
    asked = ["-k", "3", "--tol", "0", "--max-iter", "40", "--cache", "none"]
    return ["fit", SOURCE, *asked, "--out", f"{BUCKET}/{name}"]


def _done(proxy: Unruly, folder: str, *command: str) -> None:
    environment = {**os.environ, **proxy.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [*COMMAND, *command], cwd=folder, env=environment, check=True, capture_output=True
    )


def _bits(name: str) -> list[bytes]:
    mixture = load_model(f"{BUCKET}/{name}/model.zarr").mixture
    return [part.tobytes() for part in (mixture.weights, mixture.means, mixture.covariances)]
