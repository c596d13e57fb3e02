"""What a person sees of fits in a real browser."""

import subprocess
import sys
from pathlib import Path

import pytest
from distributed import Client
from matplotlib.image import imread

from gmm_dask import Configuration, fit
from gmm_dask.dashboard.phases import PHASES
from tests.dashboard.browser import Browser
from tests.dashboard.pictures import WIDTH
from tests.dashboard.running import Paused, cluster, page

ROOT = Path(__file__).parents[2]
SETTINGS = {"components": 3, "tol": 1e-9, "max_iter": 20, "accelerate": None}

pytestmark = pytest.mark.needs("chromium", "chromedriver")


def test_a_fit_from_nothing_to_its_end(window: Browser, stored: str, tmp_path: Path) -> None:
    with cluster() as client:
        window.open(page(client))
        window.until(lambda: "No fit has run on this scheduler yet" in window.text())
        assert "Fit (newest first)" not in window.text()
        with Paused(client, stored, tmp_path / "runs" / "first", 5, **SETTINGS) as paused:
            window.until(lambda: window.column("likelihood", "iteration") == list(range(6)))
            for told in ("running", "runs/first", "iteration 5", "20,000 rows × 4 features"):
                window.until(lambda told=told: told in window.text())
            window.until(lambda: "3 full" in window.text())
            window.until(lambda: "s ago" in window.text())
            window.until(lambda: window.column("change", "iteration") == [1, 2, 3, 4, 5])
            assert window.column("change", "kind") == ["gain"] * 5
            window.until(lambda: len(window.column("weights", "weights")) == 3)
            last = [line[-1] for line in window.column("weights", "weights")]
            assert sum(last) == pytest.approx(1, abs=1e-6)
            window.until(lambda: len(window.column("workers", "worker")) == 2)
            window.until(lambda: sum(window.column("workers", "seconds")) > 0)
            for name in PHASES:
                window.until(lambda name=name: len(window.column("phases", name)) == 6)
                assert sum(window.column("phases", name)) > 0, name
            window.until(lambda: len(window.column("throughput", "rows")) > 0)
            assert all(value > 0 for value in window.column("throughput", "rows"))
            paused.finish()
            window.until(lambda: "max_iter: 20 iterations are done" in window.text())
            window.until(lambda: "finished" in window.text())
        window.until(lambda: window.column("likelihood", "iteration") == list(range(21)))
        found = paused.found
        assert found is not None
        likelihoods = [entry["mean_log_likelihood"] for entry in found.history]
        assert window.column("likelihood", "likelihood") == pytest.approx(likelihoods, rel=1e-12)
        assert window.errors() == []


def test_one_of_several_fits_is_chosen(window: Browser, client: Client, stored: str) -> None:
    for components in (2, 5):
        fit(stored, Configuration(components, tol=1e-2), client=client)
    window.open(page(client))
    window.until(lambda: "5 full" in window.text())
    window.choose(1)
    window.until(lambda: "2 full" in window.text())
    window.until(lambda: len(window.column("weights", "component")) == 2)
    newest = window.choices()[0]
    fit(stored, Configuration(4, tol=1e-2), client=client)
    window.until(lambda: window.choices()[0] != newest)
    assert "2 full" in window.text(), "who has chosen is left there"
    window.choose(0)
    window.until(lambda: "4 full" in window.text())
    assert window.errors() == []


def test_the_menu_leads_to_the_page(window: Browser, client: Client) -> None:
    window.resize(1200, 900)  # on a narrow one the menu is folded
    window.open(page(client, "status"))
    window.follow("Mixtures")
    window.until(lambda: window.driver.title == "Dask: mixtures being fitted")


def test_nothing_overflows_nor_overlaps(window: Browser, client: Client, stored: str) -> None:
    fit(stored, Configuration(3, tol=1e-3), client=client)
    for width in (1600, 1200, 420):
        window.resize(width, 900)
        window.open(page(client))
        window.until(lambda: window.column("likelihood", "iteration"))
        assert window.overflow() == 0, width
        boxes = window.boxes(".panel")
        assert len(boxes) == 7
        for i, one in enumerate(boxes):
            assert one["width"] > 300
            assert not any(_overlap(one, other) for other in boxes[:i])
    window.resize(1200, 900)


def _overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    return (
        min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > 1
    )


def test_pictures_for_the_readme(tmp_path: Path) -> None:
    # In a process of its own: Dask's pages switch Bokeh's validation off and on for the process,
    # and two schedulers that do so at once may leave it off.
    command = [sys.executable, "-m", "tests.dashboard.pictures", str(tmp_path), "20000", "12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    light, dark, stream = taken = [Path(line.split("  ")[0]) for line in done.stdout.splitlines()]
    for path in taken:
        assert imread(path).shape[1] == WIDTH
    # Text on ground, both ways; and blue bars of sweeps in the task stream.
    assert imread(light)[..., :3].mean() > 0.8
    assert imread(dark)[..., :3].mean() < 0.3
    pixels = (imread(stream)[..., :3] * 255).round().astype(int)
    assert (abs(pixels - (0x2E, 0x6C, 0x8E)).max(axis=2) < 3).mean() > 0.005
