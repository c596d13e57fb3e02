"""Both kinds of folder keep the same promises."""

import os
import resource
import shutil
from pathlib import Path

import pytest

from gmm_dask.store.errors import KeyExistsError, KeyMissingError, StorageError
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.location import checked_name, open_folder


def test_created_once_and_read_again(where: str) -> None:
    folder = open_folder(where)
    folder.create("room/a.bin", b"first")
    with pytest.raises(KeyExistsError, match=r"room/a\.bin exists already"):
        folder.create("room/a.bin", b"second")
    assert folder.read("room/a.bin") == b"first"
    assert folder.exists("room/a.bin")
    assert not folder.exists("room/b.bin")
    assert not folder.exists("room")


def test_missing_key_is_named(where: str) -> None:
    with pytest.raises(KeyMissingError, match=r"room/none\.bin is missing"):
        open_folder(where).read("room/none.bin")


def test_replace_makes_and_overwrites(where: str) -> None:
    folder = open_folder(where)
    for data in (b"one", b"", b"three" * 2_000_000):
        folder.replace("a", data)
        assert folder.read("a") == data


def test_list_knows_whole_parts_only(where: str) -> None:
    folder = open_folder(where)
    assert folder.list() == []
    assert folder.list("room") == []
    keys = ["room/a", "room/deep/b", "room2/c", "top"]
    for key in keys:
        folder.create(key, b"x")
    assert folder.list() == keys
    assert folder.list("room") == ["room/a", "room/deep/b"]


def test_delete_and_discard(where: str) -> None:
    folder = open_folder(where)
    for key in ("room/a", "room/deep/b", "room2/c"):
        folder.create(key, b"x")
    folder.delete("room/a")
    folder.delete("room/a")
    assert folder.list("room") == ["room/deep/b"]
    folder.discard("room")
    folder.discard("room")
    assert folder.list() == ["room2/c"]
    folder.create("room/a", b"again")
    assert folder.read("room/a") == b"again"


@pytest.mark.parametrize("key", ["../a", "a/../b", "/a", "a//b", "", ".hidden", "a\nb", "a b"])
def test_keys_that_lead_out_are_refused(where: str, key: str) -> None:
    folder = open_folder(where)
    for use in (folder.read, folder.exists, folder.delete, lambda key: folder.create(key, b"")):
        with pytest.raises(StorageError, match="is no key"):
            use(key)


def test_half_written_files_are_not_listed(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.create("room/a", b"x")
    (tmp_path / "room" / ".tmp-1234").write_bytes(b"half")
    assert folder.list() == ["room/a"]
    assert sorted(os.listdir(tmp_path / "room")) == [".tmp-1234", "a"]


def test_file_url_is_a_path(tmp_path: Path) -> None:
    open_folder(f"file://{tmp_path}/some%20run").create("a", b"x")
    assert (tmp_path / "some run" / "a").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/run", "s3://key@bucket/run"])
def test_address_with_a_password_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StorageError, match="credentials in the environment") as refusal:
        open_folder(url)
    assert "secret" not in str(refusal.value)


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(StorageError, match="not a place to write to"):
        open_folder("https://host/run")


def test_plain_http_is_for_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.example.org")
    with pytest.raises(StorageError, match="use https"):
        open_folder("s3://bucket/run")


def test_missing_bucket_is_said_plainly(s3_bucket: str) -> None:
    folder = open_folder(s3_bucket.replace("bucket", "no-such-bucket") + "/run")
    for use in (folder.read, lambda key: folder.create(key, b"")):
        with pytest.raises(StorageError, match="no such bucket"):
            use("a")


def test_unwritable_place_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"a/b could not be written in .*file.*resume"):
        LocalFolder(tmp_path / "file").create("a/b", b"x")


@pytest.mark.parametrize("name", ["run", "7", "a.b_c-d", "x" * 64, "s3://bucket/deep/run/"])
def test_proper_names(name: str) -> None:
    assert checked_name(name) == name.rstrip("/").rpartition("/")[2]


@pytest.mark.parametrize("name", ["", "runs/..", ".hidden", "-x", "x" * 65, "a b", "s3://bucket"])
def test_improper_names(name: str) -> None:
    with pytest.raises(StorageError, match="is no name for a run"):
        checked_name(name)


def test_directory_removed_underneath_is_made_again(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.create("room/a", b"x")
    shutil.rmtree(tmp_path / "room")
    folder.create("room/a", b"y")
    assert folder.read("room/a") == b"y"


def test_what_cannot_be_listed_is_not_taken_for_empty(tmp_path: Path) -> None:
    """Out of file descriptors, clean-up must not take the newest checkpoint for one not there."""
    folder = LocalFolder(tmp_path)
    folder.create("room/key", b"")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        with pytest.raises(StorageError, match="cannot be listed: Too many open files"):
            folder.list()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert folder.list() == ["room/key"]
