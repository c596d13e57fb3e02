"""Signals sent to a running fit: a checkpoint, exit code 130, and the same bits in the end."""

import signal

from tests.cli.test_fit import same_model

ENDLESS = ["-k", 5, "--tol", 0, "--max-iter", 150]


def test_interrupted_twice_a_run_ends_with_the_bits_of_an_undisturbed_one(workplace):
    source = ["fit", "b.zarr", *ENDLESS]
    whole = workplace.start(*source, "--out", "runs/whole")

    stopped = workplace.interrupt(
        workplace.start(*source, "--out", "runs/torn"), signal.SIGTERM, "runs/torn", 5
    )
    assert stopped.code == 130, stopped.err
    assert "a checkpoint of iteration" in stopped.err
    advice = stopped.err.strip().splitlines()[-1]
    assert advice.startswith("resume with: gmm-dask fit --config ")
    resume = advice.removeprefix("resume with: gmm-dask ").split()

    done = len((workplace.folder / "runs/torn/history.jsonl").read_text().splitlines())
    on_cluster = workplace.start(*resume, "--workers", 2)
    stopped = workplace.interrupt(on_cluster, signal.SIGINT, "runs/torn", done + 5)
    assert stopped.code == 130, stopped.err
    assert "Traceback" not in stopped.err
    assert "resuming" in stopped.err
    assert not (workplace.folder / "runs/torn/model.zarr").exists()

    shown = workplace("show", "runs/torn", "--json").well().json
    assert shown["state"].startswith("not finished: iteration")
    assert shown["mixture"]["components"] == 5
    assert "has no model yet" in workplace("verify", "runs/torn", "b.zarr").refused()

    # What was resumed on a cluster goes on in this process.
    resumed = workplace("fit", "b.zarr", *ENDLESS, "--out", "runs/torn", "--json").well()
    assert resumed.json["iterations"] == 150
    workplace.end(whole).well()
    models = (workplace.folder / "runs" / name / "model.zarr" for name in ("whole", "torn"))
    assert same_model(*models)


def test_watch_follows_a_running_fit_to_its_end(workplace):
    fit = workplace.start("fit", "b.zarr", *ENDLESS, "--seed", 1, "--out", "runs/watched")
    history = workplace.folder / "runs" / "watched" / "history.jsonl"
    while not history.exists():
        assert fit.poll() is None
    told = workplace("watch", "runs/watched", "--every", 0.1, "--json").well()
    workplace.end(fit).well()
    assert told.json["iterations"] == 150
    assert [f"iteration {i}:" in told.err for i in (0, 100, 150)] == [True] * 3
