"""Both kinds of place: a folder on this disk, and a real S3 server on loopback."""

import os
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[str]:
    """The URL of a bucket; the environment leads to its server, for child processes too."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    before = dict(os.environ)
    os.environ.update(S3_ENVIRONMENT, AWS_ENDPOINT_URL=endpoint)
    request = urllib.request.Request(f"{endpoint}/bucket", method="PUT")
    urllib.request.urlopen(request).close()
    yield "s3://bucket"
    os.environ.clear()
    os.environ.update(before)
    server.stop()


@pytest.fixture(params=["local", "s3"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def where(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A place for one run or model: there is nothing yet."""
    if kind == "local":
        return str(tmp_path / "run")
    return f"{request.getfixturevalue('s3_bucket')}/{secrets.token_hex(4)}/run"
