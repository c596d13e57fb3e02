"""What all tests share: leaving out what needs a missing program, and saying so at the end."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakValueDictionary

import dask
import distributed.client
import pytest
from hypothesis import settings

IN_CI = bool(os.environ.get("GMM_DASK_NOTHING_LEFT_OUT"))

# How long an example takes says how busy the machine is, and nothing of what is tested. CI asks
# whether this change is good: with the same examples each time; new ones are looked for elsewhere.
settings.register_profile("unhurried", deadline=None, derandomize=IN_CI)
settings.load_profile("unhurried")

LEFT_OUT: dict[str, int] = {}

ROOT = Path(__file__).parent
OTHERS_CLOCKS = [ROOT / name for name in ("dashboard", "deploy", "faults", "flows")]
"""Where tests wait for browsers, schedulers and servers of others, whose patience is not ours to
set. One that fails there, or is marked `timed`, is tried once more and named at the end; nothing
else is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        waits = any(item.path.is_relative_to(folder) for folder in OTHERS_CLOCKS)
        if waits or item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=1))
        for marker in item.iter_markers("needs"):
            missing = [program for program in marker.args if shutil.which(program) is None]
            if missing:
                LEFT_OUT[missing[0]] = LEFT_OUT.get(missing[0], 0) + 1
                item.add_marker(pytest.mark.skip(reason=f"needs {missing[0]}"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if LEFT_OUT and IN_CI:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for program, count in sorted(LEFT_OUT.items()):
        terminalreporter.write_line(f"left out: {count} tests that need the program {program!r}")


@pytest.fixture
def no_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process of its own: other tests leave clients open, and fits find them."""
    monkeypatch.setattr(distributed.client, "_global_clients", WeakValueDictionary())
    token = distributed.client._current_client.set(None)  # of whoever began `with Client()`
    with dask.config.set(scheduler=None):
        yield
    distributed.client._current_client.reset(token)
