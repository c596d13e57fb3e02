"""The log on stderr, for programs that collect it."""

import json
import signal
from datetime import datetime


def told(err: str) -> list[dict]:
    """Every line is an object with the same four, whatever else."""
    lines = [json.loads(line) for line in err.splitlines()]
    for line in lines:
        assert {"time", "level", "logger", "message"} <= set(line)
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None
    return lines


def test_each_line_is_an_object_with_the_facts_in_it(workplace):
    done = workplace("--log", "json", "fit", "b.zarr", "-k", 2, "--out", "runs/j", "--json").well()
    lines = told(done.err)
    iterations = [line for line in lines if "mean_log_likelihood" in line]
    assert [line["iteration"] for line in iterations] == list(range(len(iterations)))
    assert iterations[-1]["mean_log_likelihood"] == done.json["mean_log_likelihood"]
    assert iterations[0]["change"] is None
    assert {(line["level"], line["logger"]) for line in iterations} == {("info", "gmm_dask")}
    assert "JSON" not in workplace("fit", "b.zarr", "-k", 2, "--out", "runs/j").well().err


def test_it_is_asked_for_by_the_environment_and_errors_are_in_it(workplace):
    done = workplace("fit", "nothing.zarr", "-k", 2, GMM_DASK_LOG="json")
    assert done.code == 2
    (line,) = told(done.err)
    assert line["level"] == "error"
    assert "nothing is stored at" in line["message"]
    odd = workplace("fit", "a\n\x1b[31m\x7f.zarr", "-k", 2, GMM_DASK_LOG="json")
    assert len(told(odd.err)) == 1
    assert odd.err.rstrip("\n").isprintable()


def test_what_is_said_after_a_signal_too(workplace):
    asked = ["fit", "b.zarr", "-k", 3, "--tol", 0, "--max-iter", 10**6, "--out", "runs/stopped"]
    started = workplace.start(*asked, GMM_DASK_LOG="json")
    done = workplace.interrupt(started, signal.SIGTERM, "runs/stopped", 3)
    assert done.code == 130
    last = told(done.err)[-1]
    assert last["level"] == "error"
    assert "resume with: gmm-dask fit --config" in last["message"]


def test_another_format_is_refused(workplace):
    assert workplace("--log", "xml", "doctor").code == 2
