"""`gmm-dask refit` and `gmm-dask models`, as a person or a cron job runs them."""

import json
import signal
import time

import numpy as np
import pytest
import zarr

REFIT = ("refit", "b.zarr", "--models", "models/b", "-k", 3)


@pytest.fixture
def grown(shell):
    """A store with one version of a model, and rows appended that are like no others."""
    made = "data make blobs --rows 4000 --features 3 --components 3 --out b.zarr"
    shell(*made.split()).well()
    shell(*REFIT).well()
    array = rows(shell)
    more = np.asarray(array)[:1000] + 5
    array.resize((5000, 3))
    array[4000:] = more
    return shell


def rows(shell):
    return zarr.open_group(shell.folder / "b.zarr")["rows"]


def test_from_appended_rows_to_a_version_and_back(grown):
    found = grown(*REFIT).well()
    assert "warning: drift: the mean log density of 1,000 new rows is" in found.err
    assert "v0002 is promoted" in found.out
    assert (grown.folder / "models/b/v0002/model.zarr/zarr.json").exists()
    again = grown(*REFIT, "--workers", 2).well()
    assert "nothing new: v0002 stays" in again.out
    assert "cluster" not in again.err
    listed = grown("models", "models/b").well().out.splitlines()
    assert [line.split()[0] for line in listed] == ["version", "v0002", "v0001"]
    assert listed[1].endswith("current")
    back = grown("models", "models/b", "--rollback", "v0001", "--json").well().json
    assert back["current"] == "v0001"
    assert [one["current"] for one in back["versions"]] == [False, True]
    assert "rolled back" in grown("models", "models/b", "--history").well().out
    assert grown("show", "models/b", "--json").well().json["where"].endswith("v0001/model.zarr")
    scored = grown("score", "models/b", "b.zarr", "--out", "s.zarr", "--json").well().json
    assert scored["rows"] == 5000
    for arguments, why in (
        (("refit", "b.zarr", "-k", 3), "give --models"),
        (("refit", "b.zarr", "-k", 3, "--models", "b.zarr"), "no folder of models"),
        ((*REFIT, "--held-back", 1), "held_back"),
        (("models", "nowhere"), "there are no models at nowhere"),
        (("models", "models/b", "--rollback", "v0007"), "kept are v0001"),
    ):
        assert why in grown(*arguments).refused()
    rows(grown).resize((3000, 3))
    told = grown(*REFIT).refused()
    assert "[0, 5000] and are [0, 3000]" in told
    assert "--changed refit" in told


def test_interrupted_it_leaves_the_models_alone_and_goes_on_as_configured(grown):
    pointer = grown.folder / "models/b/current.json"
    before = json.loads(pointer.read_bytes())
    (grown.folder / "nightly.toml").write_text(
        'source = "b.zarr"\nmodels = "models/b"\n'
        '[mixture]\ncomponents = 3\ntol = 0\nmax_iter = 40\naccelerate = "none"\n'
        "[refit]\nmargin = 1000\ndrift_alarm = 1000\noutlier_alarm = 0.9999\n"
    )
    nightly = ("refit", "--config", "nightly.toml")
    started = grown.start(*nightly)
    deadline = time.monotonic() + 60
    while iterations(grown) < 10:
        assert started.poll() is None, grown.end(started)
        assert time.monotonic() < deadline
        time.sleep(0.02)
    started.send_signal(signal.SIGSTOP)  # that it may not end before it is looked at
    busy = grown(*nightly)
    assert busy.code == 3
    assert f"in use by process {started.pid}" in busy.err
    started.send_signal(signal.SIGTERM)
    started.send_signal(signal.SIGCONT)
    ended = grown.end(started)
    assert ended.code == 130
    assert "the same command goes on" in ended.err
    assert json.loads(pointer.read_bytes()) == before
    resumed = grown(*nightly, "--json").well()
    assert "iteration 1:" not in resumed.err
    found = resumed.json
    assert (found["outcome"], found["version"], found["alarms"]) == ("kept", "v0001", [])
    assert found["comparison"]["margin"] == 1000


def iterations(shell):
    """Of the longest run so far."""
    found = (shell.folder / "models/b/runs").glob("*/history.jsonl")
    return max(len(one.read_bytes().splitlines()) for one in found)
