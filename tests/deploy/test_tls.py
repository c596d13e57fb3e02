"""A cluster of real processes that knows only what deploy/tls/make-certificates wrote."""

import asyncio
import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from distributed.comm import connect
from distributed.security import Security

from tests.deploy.conftest import bits, certificates_in
from tests.deploy.processes import BIN, DEPLOY, Processes, processes_in, run, until, well

pytestmark = pytest.mark.needs("openssl")
MAKE = DEPLOY / "tls" / "make-certificates"
ROLES = ("scheduler", "worker", "client")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[str]:
    """The address of a scheduler with two workers."""
    with processes_in(tmp_path_factory.mktemp("tls")) as started:
        yield started_in(started, certificates)


def started_in(processes: Processes, certificates: Path) -> str:
    """The configuration is all that says TLS."""
    config = {"DASK_CONFIG": str(certificates)}
    told = processes.folder / "scheduler.json"
    here = ["--host", "127.0.0.1", "--scheduler-file", told]
    processes.start(
        "scheduler", [BIN / "dask", "scheduler", *here, "--port", 0, "--no-dashboard"], **config
    )
    for name in ("one", "two"):
        command = [BIN / "dask", "worker", *here, "--nthreads", 1, "--no-dashboard"]
        processes.start(name, [*command, "--memory-limit", "1GB"], **config)
    until(told.exists, lambda: processes.log("scheduler"))
    return json.loads(told.read_text())["address"]


def test_a_fit_comes_to_the_same_bits_by_configuration_alone(work, cluster, certificates, alone):
    assert cluster.startswith("tls://")
    out = work.folder / "tls"
    well(work.fit(out, "--scheduler", cluster), DASK_CONFIG=str(certificates))
    assert bits(out) == alone


def test_a_cluster_of_this_machine_is_encrypted_too(tmp_path, certificates):
    told = "import sys; from gmm_dask.clusters.connection import cluster_for, ClusterOptions as O\n"
    told += "if __name__ == '__main__':\n with cluster_for(O(workers=1)) as client:\n"
    told += "  sys.stdout.write(' '.join([client.scheduler.address, *client.nthreads()]))\n"
    (tmp_path / "local.py").write_text(told)
    addresses = well([BIN / "python", tmp_path / "local.py"], DASK_CONFIG=str(certificates))
    assert [address[:6] for address in addresses.split()] == ["tls://", "tls://"]


def comes_in(address: str, security: Security) -> bool:
    """Whether the scheduler shakes hands."""

    async def attempt() -> bool:
        arguments = security.get_connection_args("client")
        try:
            comm = await connect(address, timeout=5, **arguments)
        except OSError:
            return False
        await comm.close()
        return True

    return asyncio.run(attempt())


def secured(folder: Path, authority: Path | None = None) -> Security:
    """A client's papers."""
    return Security(
        require_encryption=True,
        tls_ca_file=str((authority or folder) / "ca.pem"),
        tls_client_cert=str(folder / "client.pem"),
        tls_client_key=str(folder / "client.key"),
    )


def test_plain_and_foreign_clients_are_refused(cluster, certificates, foreign):
    plain = Security(require_encryption=False)
    stranger = secured(foreign)
    deceiver = secured(foreign, authority=certificates)
    assert comes_in(cluster, secured(certificates))
    assert not comes_in(cluster.replace("tls:", "tcp:"), plain)
    assert not comes_in(cluster, stranger)
    assert not comes_in(cluster, deceiver)
    assert comes_in(cluster, secured(certificates)), "the cluster took no harm"


def test_a_driver_with_foreign_certificates_is_told_so(work, cluster, foreign):
    done = run(work.fit(work.folder / "foreign", "--scheduler", cluster), DASK_CONFIG=str(foreign))
    assert done.returncode != 0
    assert "no Dask scheduler answers" in done.stderr
    assert not (work.folder / "foreign" / "model.zarr").exists()


def test_keys_are_for_their_owner_and_the_authority_signs_no_more(certificates):
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in certificates.iterdir()}
    made = {"ca.pem", "tls.yaml", "dask.yaml", *(f"{role}.pem" for role in ROLES)}
    keys = {f"{role}.key" for role in ROLES}
    assert {modes[name] for name in made | keys} == {0o600}
    assert {name for name in modes if name.endswith(".key")} == keys
    assert stat.S_IMODE(certificates.stat().st_mode) == 0o700


@pytest.mark.parametrize(("role", "serves"), [("scheduler", 0), ("worker", 0), ("client", 2)])
def test_a_client_certificate_is_no_servers(certificates, role, serves):
    verify = ["openssl", "verify", "-CAfile", certificates / "ca.pem", "-purpose"]
    assert run([*verify, "sslclient", certificates / f"{role}.pem"]).returncode == 0
    assert run([*verify, "sslserver", certificates / f"{role}.pem"]).returncode == serves


def test_certificates_end_when_said_and_are_made_anew_only_in_time(tmp_path):
    folder = certificates_in(tmp_path / "short", "--days", 1)
    first = (folder / "ca.pem").read_bytes()
    ends = well(["openssl", "x509", "-in", folder / "client.pem", "-noout", "-enddate"])
    ended = datetime.strptime(ends.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    assert timedelta(hours=23) < ended - datetime.now(UTC) < timedelta(hours=25)
    certificates_in(folder, "--days", 3)  # less than a day was left
    second = (folder / "ca.pem").read_bytes()
    certificates_in(folder)
    assert first != second == (folder / "ca.pem").read_bytes()
    well(["openssl", "verify", "-CAfile", folder / "ca.pem", folder / "worker.pem"])


@pytest.mark.parametrize("wrong", [[], ["a", "b"], ["a", "--days", "0"], ["a", "--year"]])
def test_wrong_words_are_refused_in_one_sentence(tmp_path, wrong):
    words = [tmp_path / word if word in "ab" else word for word in wrong]
    done = run([MAKE, *words])
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_folder_may_be_found_elsewhere(tmp_path):
    folder = certificates_in(tmp_path / "here", "--at", "/etc/elsewhere")
    tls = yaml.safe_load((folder / "tls.yaml").read_text())["distributed"]["comm"]["tls"]
    assert tls["worker"]["key"] == "/etc/elsewhere/worker.key"
