"""Row 24: strangers, open doors, ways out of a folder, pickles, bombs, passwords and secrets, names
that a terminal would obey, configurations of others."""

import os
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch
from urllib.request import Request, urlopen

import dask
import numpy as np
import psutil
import pytest
import zarr
from distributed.security import Security
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from obstore.store import S3Store
from zarr.storage import ObjectStore

from gmm_dask import Configuration, Mixture, fit, score
from gmm_dask.chunked.engines.faults import ClusterError
from gmm_dask.chunked.rows import open_rows
from gmm_dask.cli.output import OBEYED
from gmm_dask.clusters.connection import cluster_for
from gmm_dask.clusters.page import LOOPBACKS
from gmm_dask.clusters.scheduler import reached
from gmm_dask.data import import_files
from gmm_dask.models.model import load_model, save_model
from gmm_dask.runs.configuration import load_values
from gmm_dask.runs.folder import open_run
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.job import Job
from gmm_dask.settings.rows import RowOptions
from tests.chunked.conftest import store
from tests.faults.inputs.hostile import bombs, pickles
from tests.faults.inputs.refusing import SECRET, refused
from tests.faults.outcome import Outcome, Scale

MOST_BYTES = 64 * 2**20
"""Of memory for refusing a bomb; the smallest of them declares 2^40."""
OBEYED_NAMES = (
    "\x1b]52;c;cm0gLXJm\x07",
    "a\nmodel:  elsewhere",
    "a\rmodel:  elsewhere",
    "\x9b2J",
    "\u202eemordnilap",
    "\x7f",
    "\udcff",
)
MIXTURE = Mixture([1.0], [[0.0, 0.0]], [np.eye(2)])


def secure(scale: Scale, seed: int) -> Outcome:  # noqa: ARG001 - nothing is drawn
    """All of it; strangers at a TLS cluster only in full, for tests/deploy has them in small."""
    outcome = Outcome()
    with TemporaryDirectory(prefix="faults-") as name:
        for part in (_pickles, _bombs, _names, _links, _passwords, _secrets, _doors, _others):
            folder = Path(name) / part.__name__
            folder.mkdir()
            part(outcome, folder, scale)
        if scale == "full":
            _strangers(outcome, Path(name) / "tls")
    return outcome


def _pickles(outcome: Outcome, folder: Path, _: Scale) -> None:
    mark = folder / "executed"
    for what, attempt in pickles(folder, mark):
        with outcome.trying(f"pickle: {what}"):
            with refused():
                attempt()
            assert not mark.exists(), "it was executed"


def _bombs(outcome: Outcome, folder: Path, _: Scale) -> None:
    for what, attempt in bombs(folder):
        with outcome.trying(f"bomb: {what}"):
            tracemalloc.start()
            try:
                with refused():
                    attempt()
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert peak < MOST_BYTES, f"{peak / 2**20:.0f} MiB were allocated"


NAMES = (
    "..", ".", ".hidden", "a b", "a\nb", "x" * 65, "-rf", "ünder", "a\0b", "~", "$(id)", "a:b", "*",
    "a\\..\\b", "%2e%2e", "a;b",
)  # fmt: skip


def _names(outcome: Outcome, folder: Path, _: Scale) -> None:
    """Names of runs, models, scores and tables that are none; arrays outside of a group."""
    root = folder / "root"
    root.mkdir()
    rows = store(folder / "rows.zarr", np.zeros((9, 2)), chunks=(9, 2))
    np.save(folder / "rows.npy", np.zeros((9, 2)))
    ways: dict[str, Callable[[str], object]] = {
        "run": lambda where: open_run(where, configuration={}, fingerprint={}, seed=0),
        "fit": lambda where: fit(rows, 1, run=where),
        "model": lambda where: save_model(MIXTURE, where, feature_names=None, provenance={}),
        "scores": lambda where: score(MIXTURE, rows, where),
        "import": lambda where: import_files([folder / "rows.npy"], where),
    }
    before = sorted(folder.rglob("*"))
    for what, way in ways.items():
        for name in NAMES:
            with outcome.trying(f"{what} named {name!r}"):
                with refused():
                    way(f"{root}/{name}")
                assert sorted(folder.rglob("*")) == before, "something was written"
    group = zarr.create_group(str(folder / "group.zarr"))
    group.create_array("a", data=np.zeros((9, 2)))
    for name in (
        "../rows.zarr",
        "/../rows.zarr",
        "a/../../rows.zarr",
        "..",
        "",
        "a\0",
        "a\\..",
        "//a",
    ):
        with outcome.trying(f"array named {name!r}"), refused("has no array"):
            open_rows(folder / "group.zarr", array=name)


def _links(outcome: Outcome, folder: Path, _: Scale) -> None:
    """Links inside of a run folder: nothing is written where they lead."""
    rows = store(folder / "rows.zarr", np.random.default_rng(0).normal(size=(60, 2)), chunks=(9, 2))
    asked = Configuration(2, tol=0, max_iter=3)
    for name in (
        "checkpoints",
        "model.zarr",
        "history.jsonl",
        ".lock",
        "run.json",
        "FINISHED.json",
    ):
        elsewhere, run = folder / f"elsewhere-{name}", folder / f"run-{name}"
        elsewhere.mkdir()
        (elsewhere / "kept").write_bytes(b"kept")
        run.mkdir()
        (run / ".lock").touch()
        (run / name).unlink(missing_ok=True)
        folderlike = name in ("checkpoints", "model.zarr")
        (run / name).symlink_to(elsewhere if folderlike else elsewhere / "kept")
        with outcome.trying(f"a link {name}"):
            try:
                fit(rows, asked, run=run)
            except Exception as problem:
                with refused():
                    raise problem
            assert [path.name for path in elsewhere.iterdir()] == ["kept"], "written elsewhere"
            assert (elsewhere / "kept").read_bytes() == b"kept", "changed elsewhere"


def _passwords(outcome: Outcome, folder: Path, scale: Scale) -> None:
    """Addresses with a password, everywhere that takes one; never shown, never written."""
    rows = np.zeros((9, 2))
    ways: dict[str, Callable[[str], object]] = {
        "rows": open_rows,
        "weights": lambda url: open_rows(rows, weights=url),
        "labels": lambda url: fit(rows, 1, labels=url),
        "run": lambda url: fit(rows, 1, run=url),
        "model read": load_model,
        "model written": lambda url: save_model(MIXTURE, url, feature_names=None, provenance={}),
        "scores": lambda url: score(MIXTURE, rows, url),
        "scored by": lambda url: score(url, rows, folder / "scores"),
        "configuration": load_values,
        "job's source": lambda url: Job(url, Configuration(1)),
        "job's run": lambda url: Job("a", Configuration(1), run=url),
        "job's start": lambda url: Job("a", Configuration(1), start=url),
        "job's labels": lambda url: Job("a", Configuration(1), start=f"labels:{url}"),
        "job's weights": lambda url: Job("a", Configuration(1), rows=RowOptions(weights=url)),
        "job's scheduler": lambda url: _job_at(url),
    }
    urls = [f"{scheme}://user:{SECRET}@host/rows.zarr" for scheme in ("s3", "https", "file")]
    urls += [f"s3://{SECRET}@host/x", f"s3://host/x?X-Amz-Signature={SECRET}"]
    urls += [f"s3://[user:{SECRET}@host/x", f"https://user:{SECRET}@host/rows.npy"]
    for what, way in ways.items():
        for url in urls:
            with outcome.trying(f"{what} at {url}"), refused():
                way(url)
    fitting = ["fit", "a", "-k", "1", "--out", urls[0]]
    commands = (fitting, ["fit", urls[0], "-k", "1"], ["show", urls[0]])
    for command in commands if scale == "full" else commands[:1]:
        with outcome.trying(f"gmm-dask {' '.join(command)}"):
            code, told = _commanded(command)
            assert code == 2, f"exit code {code}: {told}"
            assert SECRET not in told, told


def _job_at(url: str) -> Job:
    return Job("a", Configuration(1), cluster=ClusterOptions(scheduler=url))


def _secrets(outcome: Outcome, folder: Path, scale: Scale) -> None:
    """A fit on an object store by a worker, with all the noise there is: no secret in any byte."""
    with _bucket() as environment:
        run = folder / "run"
        command = ["--verbose", "fit", "s3://rows/a.zarr", "-k", "2", "--max-iter", "3"]
        words = {
            "a fit": [*command, "--workers", "1", "--out", str(run)],
            "no such bucket": [*command[:2], "s3://elsewhere/a.zarr", "-k", "2"],
            "a run in the store": [*command, "--out", "s3://rows/run"],
        }
        for what in words if scale == "full" else ("a fit",):
            arguments = words[what]
            with outcome.trying(f"secrets: {what}"):
                code, told = _commanded(arguments, **environment)
                assert (code == 0) == (what != "no such bucket"), told
                assert SECRET not in told, told
        with outcome.trying("secrets: in files and objects"):
            files = [path.read_bytes() for path in run.rglob("*") if path.is_file()]
            inside = S3Store("rows", client_options={"allow_http": True})
            objects = [
                bytes(inside.get(entry["path"]).bytes()) for entry in inside.list().collect()
            ]
            assert len(files) > 10
            assert len(objects) > 10, "the store holds rows, and a run in full"
            assert not [one for one in (*files, *objects) if SECRET.encode() in one]
    nested = {"job_extra": [f"export AWS_SECRET_ACCESS_KEY={SECRET}"]}
    deep = {"worker_options": {"env": {"AWS_SESSION_TOKEN": SECRET}}}
    for arguments in (nested, deep, {"password": SECRET}):
        with outcome.trying(f"a secret argument in {[*arguments]}"), refused("looks like a secret"):
            ClusterOptions(kind="dask_jobqueue.SLURMCluster", arguments=arguments)


def _others(outcome: Outcome, folder: Path, scale: Scale) -> None:
    """Names that are orders to a terminal or forge lines; a run folder that would start code."""
    for name in OBEYED_NAMES if scale == "full" else OBEYED_NAMES[:1]:
        with outcome.trying(f"a name {name!r}"):
            code, told = _commanded(["fit", str(folder / f"{name}.zarr"), "-k", "1"])
            assert code == 2, f"exit code {code}: {told}"
            assert not OBEYED.search(told), repr(told)
            assert "\nmodel:" not in told, repr(told)
    with outcome.trying("a configuration that was brought here"):
        cluster = 'kind = "distributed.LocalCluster"\narguments = {preload = "print(1)"}'
        (folder / "run.json").write_text("{}")
        (folder / "config.toml").write_text(f'run = "/their/run"\n[cluster]\n{cluster}\n')
        with refused("may be somebody else's"):
            load_values(folder)
    with outcome.trying("rows by plain http"), refused("speaks http"):
        open_rows("http://192.0.2.1/rows.zarr")


@contextmanager
def _bucket() -> Iterator[dict[str, str]]:
    """An S3 server on loopback with rows in it, and the environment that leads there."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": f"{SECRET}-token",
        "AWS_REGION": "us-east-1",
    }
    try:
        with patch.dict(os.environ, environment):
            urlopen(Request(f"http://{host}:{port}/rows", method="PUT")).close()
            place = S3Store("rows", prefix="a.zarr", client_options={"allow_http": True})
            values = np.random.default_rng(0).normal(size=(400, 2))
            zarr.create_array(ObjectStore(place), data=values, chunks=(40, 2))
            yield environment
    finally:
        server.stop()


def _commanded(arguments: list[str], **environment: str) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    command = [sys.executable, "-m", "gmm_dask", *arguments]
    ended = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240
    )
    return ended.returncode, ended.stdout + ended.stderr


def _doors(outcome: Outcome, _: Path, __: Scale) -> None:
    """What we start listens on loopback only; what would listen elsewhere needs TLS or a word."""
    for arguments in ({"host": "0.0.0.0"}, {"host": ""}, {"interface": "eth0"}, {"host": "::"}):
        with outcome.trying(f"a LocalCluster with {arguments}"), refused("can run code"):
            _begun(ClusterOptions(kind="distributed.LocalCluster", arguments=arguments))
    for kind in ("dask_jobqueue.SLURMCluster", "distributed.SpecCluster"):
        with outcome.trying(kind), refused("can run code"):
            _begun(ClusterOptions(kind=kind))
    with outcome.trying("a cluster of our own"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with cluster_for(ClusterOptions(workers=1)) as client:
            assert client is not None
            client.wait_for_workers(1, timeout=60)
            heard = list(_listening(psutil.Process()))
            assert len(heard) > 2, "nothing listens: the count counts nothing"
            assert {*heard} <= {*LOOPBACKS}, f"listens at {heard}"


def _begun(options: ClusterOptions) -> None:
    with cluster_for(options):
        pass


def _listening(process: psutil.Process) -> Iterator[str]:
    for one in (process, *process.children(recursive=True)):
        for connection in one.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.ip


def _strangers(outcome: Outcome, folder: Path) -> None:
    """Plain clients, and clients with papers of another authority, at a cluster with TLS."""
    from tests.deploy.conftest import certificates_in
    from tests.deploy.processes import processes_in
    from tests.deploy.test_tls import comes_in, secured, started_in

    folder.mkdir()
    ours, theirs = certificates_in(folder / "ours"), certificates_in(folder / "theirs")
    with processes_in(folder) as started:
        address = started_in(started, ours)
        plain = address.replace("tls:", "tcp:")
        for turn in range(10):
            with outcome.trying(f"strangers at TLS, {turn}"):
                assert not comes_in(plain, Security(require_encryption=False)), "in the clear"
                assert not comes_in(address, secured(theirs)), "with foreign papers"
                assert not comes_in(address, secured(theirs, authority=ours)), "by deceit"
                assert comes_in(address, secured(ours)), "our own are refused"
    gone = pytest.raises(ClusterError, match="answers")
    papers = {"distributed.comm.tls.ca-file": str(ours / "ca.pem")}
    for part, name in (("cert", "client.pem"), ("key", "client.key")):
        papers[f"distributed.comm.tls.client.{part}"] = str(ours / name)
    with (
        outcome.trying("a scheduler that is gone"),
        dask.config.set(papers),
        gone,
        reached(address),
    ):
        pass
