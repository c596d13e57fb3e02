"""What ends otherwise than well has a name of its own, and somebody is told of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.schemas.objects import StateType

from flows.automations import read
from flows.display import tell_event
from gmm_dask.store.lock import FileLock
from tests.flows.servers import ROOT, until
from tests.flows.slow import stored

SHIPPED = ROOT / "deploy" / "automations"
pytestmark = [pytest.mark.needs("pg_isready"), pytest.mark.timeout(600)]


@contextmanager
def mailbox() -> Iterator[tuple[str, list[str]]]:
    """An address that takes notifications, and what was sent to it."""
    letters: list[str] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            letters.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Taking)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", letters
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def apply(asking, folder: Path, *arguments: str) -> str:
    command = ("python", "-m", "flows.automations", "apply", str(folder), *arguments)
    return asking.platform.command(*command)


def test_ends_are_named_and_told_to_whoever_a_block_names(asking, tmp_path):
    rows = stored(tmp_path / "rows")
    with mailbox() as (address, letters):
        CustomWebhookNotificationBlock(
            name="told",
            url=address,
            json_data={"text": "{{subject}}\n{{body}}"},
            allow_private_urls=True,
        ).save("told", overwrite=True)
        made = apply(asking, SHIPPED, "--notify", "custom-webhook/told")
        assert made.count("left out") == 0
        # Applied once more, as after a change of a file, they keep their block.
        assert apply(asking, SHIPPED).count("up to date") == len(read(SHIPPED))

        failed = asking.run(
            "fit-mixture/fit", source=str(tmp_path / "no"), mixture={"components": 4}
        )
        (asking.platform.runs / "held").mkdir(parents=True, exist_ok=True)
        lock = FileLock.take(asking.platform.runs / "held/.lock")
        small = {"source": str(rows / "small.zarr"), "mixture": {"components": 4}}
        busy = asking.run("fit-mixture/fit", **small, run="held")
        assert asking.ended(busy).state.name == "Busy", asking.log(busy)
        lock.release()
        assert asking.read(busy).state.type == StateType.COMPLETED
        until(lambda: "Finished in state Busy" in asking.log(busy), 30, "the log")
        assert asking.log(busy).count("is in use by process") >= 1
        assert "Traceback" not in asking.log(busy)
        assert asking.ended(failed).state.name == "Failed"
        until(lambda: any("has failed" in one for one in letters), 60, "word of the failure")
        until(lambda: any("left to another" in one for one in letters), 60, "word of the other")

        facts = {"source": "rows.zarr", "model": "models/x/v0001", "alarms": ["they moved"]}
        tell_event("gmm_dask.drift.alarm", "models.somewhere", **facts)
        until(lambda: any("they moved" in one for one in letters), 60, "word of the drift")

        sooner = yaml.safe_load((SHIPPED / "models-without-refit-are-told.yaml").read_text())
        sooner["trigger"]["within"] = 10  # the least that there may be
        (tmp_path / "sooner").mkdir()
        (tmp_path / "sooner/sooner.yaml").write_text(yaml.safe_dump(sooner))
        apply(asking, tmp_path / "sooner")
        tell_event("gmm_dask.refit.looked", "models.somewhere", source="rows.zarr")
        until(lambda: any("no refit for 26 h" in one for one in letters), 60, "word of no refit")
        apply(asking, SHIPPED)
    told = "\n".join(letters)
    assert "nothing is stored at" in told
    assert "models.somewhere" in told


def test_one_model_does_not_wait_for_another_of_its_deployment(asking, tmp_path):
    rows = stored(tmp_path / "rows")
    both = [
        asking.run(
            "refit/refit-nightly",
            source=str(rows / "small.zarr"),
            models=str(tmp_path / name),
            mixture={"components": 3},
        )
        for name in ("one", "other")
    ]
    ends = [asking.ended(run).state for run in both]
    assert [end.name for end in ends] == ["Completed", "Completed"], ends


def test_without_a_block_nobody_is_notified_and_a_line_says_so(asking, tmp_path):
    written = yaml.safe_load((SHIPPED / "drift-is-told.yaml").read_text())
    (tmp_path / "drift.yaml").write_text(yaml.safe_dump({**written, "name": "of nobody"}))
    assert "of nobody: left out: it notifies somebody" in apply(asking, tmp_path)
    with pytest.raises(AssertionError, match="there is no block slack-webhook/nobody"):
        apply(asking, tmp_path, "--notify", "slack-webhook/nobody")


@pytest.mark.parametrize("name", ["silent-runs-are-crashed", "crashed-runs-start-again"])
def test_every_end_that_has_a_name_is_a_sign_of_life(name):
    trigger = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())["trigger"]
    ends = {"Completed", "Busy", "Failed", "LeaseLost", "Cancelled"}
    assert {f"prefect.flow-run.{end}" for end in ends} <= set(trigger["expect"])
