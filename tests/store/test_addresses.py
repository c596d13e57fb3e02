"""Addresses: read and written by the same rules, and never with a secret in them."""

import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from gmm_dask import Configuration, ConfigurationError, fit, score
from gmm_dask.chunked.rows import DataError, open_rows
from gmm_dask.data.table import TableArray, TableStore
from gmm_dask.settings.job import Job
from gmm_dask.settings.rows import RowOptions
from gmm_dask.store.addresses import SECRET, AddressError, is_url, path_of, split_url
from gmm_dask.store.errors import StorageError
from gmm_dask.store.location import open_folder

ROWS = np.random.default_rng(0).normal(size=(300, 2)) + np.repeat([[0.0], [9.0], [0.0]], 100, 0)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server on loopback; nothing in the environment leads there yet."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    request = urllib.request.Request(f"{endpoint}/bucket", method="PUT")
    urllib.request.urlopen(request).close()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    yield endpoint
    server.stop()


def stored(where: str) -> str:
    """The rows as a Zarr array there."""
    table, place = TableArray("", "float64", 100, 2, 300), TableStore.begin(where, overwrite=True)
    for number in range(3):
        place.write(table, number, ROWS[100 * number : 100 * (number + 1)])
    place.finish([table])
    return where


def test_scores_are_read_where_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "some run").mkdir()
    place = f"file://{tmp_path}/some%20run"
    source = stored(f"{place}/rows.zarr")
    found = fit(source, Configuration(2), run=f"{place}/run")
    scores = score(f"{place}/run/model.zarr", source, f"{place}/scores.zarr", quantile=0.1)
    assert scores.outliers == 30
    assert open_rows(f"{place}/scores.zarr/log_density").shape == (300, 1)
    assert found.mixture.components == 2


def test_a_file_url_may_name_an_npy_file(tmp_path: Path) -> None:
    np.save(tmp_path / "some rows.npy", ROWS)
    rows = open_rows(f"file://{tmp_path}/some%20rows.npy")
    np.testing.assert_array_equal(rows.read(0)[0], ROWS)


def test_the_endpoint_of_s3_alone_is_for_reading_too(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example.org")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    rows = open_rows(stored("s3://bucket/a%20b/rows.zarr"))
    np.testing.assert_array_equal(rows.read(0)[0], ROWS[: len(rows.read(0)[0])])


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_plain_http_is_for_loopback_whoever_opens(
    name: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://storage.example.org")
    with pytest.raises(StorageError, match=r"storage\.example\.org speaks http.*use https"):
        open_folder("s3://bucket/run")
    with pytest.raises(DataError, match=r"storage\.example\.org speaks http.*use https"):
        open_rows("s3://bucket/rows.zarr")
    # The same server by a name that is not loopback's: nothing but the environment allows it.
    monkeypatch.setenv(name, s3.replace("127.0.0.1", "127.0.0.2"))
    with pytest.raises(DataError, match=r"127\.0\.0\.2 speaks http"):
        open_rows("s3://bucket/rows.zarr")


def test_plain_http_is_allowed_by_the_environment(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.replace("127.0.0.1", "0.0.0.0"))
    monkeypatch.setenv("AWS_ALLOW_HTTP", "1")
    assert open_rows(stored("s3://bucket/rows.zarr")).shape == (300, 2)


SHOWING = [
    "s3://key:hidden@bucket/x",
    "s3://hidden@bucket/x",
    "s3://key:hid/hidden@bucket/x",
    "s3://bucket/x?X-Amz-Signature=hidden",
    "s3://bucket/x#hidden",
    "file://key:hidden@host/x",
    "https://key:hidden@host/x",
    "s3://[key:hidden@bucket/x",
    "s3://[hidden]@bucket/x",
    "s3://key:hidden℀@bucket/x",
]


@pytest.mark.parametrize("url", SHOWING)
def test_an_address_that_shows_a_secret_is_refused_without_repeating_it(url: str) -> None:
    ways = (
        (AddressError, split_url),
        (DataError, open_rows),
        (DataError, lambda url: open_rows(ROWS, weights=url)),
        (StorageError, open_folder),
        (ConfigurationError, lambda url: Job(url, Configuration(2))),
        (ConfigurationError, lambda url: Job("a", Configuration(2), start=f"labels:{url}")),
        (ConfigurationError, lambda url: Job("a", Configuration(2), rows=RowOptions(weights=url))),
    )
    for error, way in ways:
        with pytest.raises(error, match=r"user or password|a query|no URL") as refusal:
            way(url)
        assert "hidden" not in str(refusal.value)
        assert "hid/" not in str(refusal.value)
    assert re.search(SECRET, url)


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/me@home/x", "tls://host:8786", "tcp://[::1]:8786", "file:///a%20b", "s3://b:/x"],
)
def test_an_address_without_a_secret_is_not_refused(url: str) -> None:
    assert split_url(url).geturl() == url
    assert not re.search(SECRET, url)
    assert is_url(url)


def test_a_path_is_what_a_file_url_names(tmp_path: Path) -> None:
    assert path_of(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert path_of(f"file://localhost{tmp_path}/a") == path_of(f"{tmp_path}/a") == tmp_path / "a"
    assert path_of("s3://bucket/a") is None
    for address, told in (
        ("file://data/rows.zarr", "three slashes"),
        ("a\0b", "it has a NUL"),
        ("~no-such-user/a", "is no path"),
    ):
        with pytest.raises(AddressError, match=told):
            path_of(address)
