"""The README's pictures of the dashboard, taken of a real fit: python -m tests.dashboard.pictures

Needs chromium and its driver. May be given another folder than deploy/pictures, another number of
rows, and another iteration to take them at.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import chdir
from pathlib import Path

from tests.dashboard.browser import Browser, browser
from tests.dashboard.running import Paused, cluster, overlapping, page

FOLDER = Path(__file__).parents[2] / "deploy" / "pictures"
WIDTH, LARGEST = 1200, 200_000
ROWS, ITERATION = 400_000, 40


def take(folder: Path, rows: int = ROWS, iteration: int = ITERATION) -> list[Path]:
    """The page of fits, light and dark, and Dask's own page with its task stream."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        cluster() as client,
        browser() as window,
        chdir(place),
        Paused(
            client,
            overlapping(Path("rows.zarr"), rows, chunk_rows=rows // 40),
            Path("runs", "blobs"),
            iteration,
            components=6,
            tol=1e-7,
            accelerate=None,
        ) as fit,
    ):
        return [
            _fits(window, page(client), folder / "fits.png", iteration, dark=False),
            _fits(window, page(client), folder / "fits-dark.png", iteration, dark=True),
            _status(window, page(client, "status"), folder / "task-stream.png", fit),
        ]


def _fits(window: Browser, address: str, path: Path, iteration: int, *, dark: bool) -> Path:
    window.open(address, dark=dark)
    window.until(lambda: iteration in window.column("likelihood", "iteration"))
    window.picture(path, WIDTH)
    return path


def _status(window: Browser, address: str, path: Path, fit: Paused) -> Path:
    """While the fit goes on: Dask's page shows what happens from when it is opened."""
    window.open(address)
    window.until(lambda: window.column("task_stream", "name"))
    fit.go_on.set()
    window.until(lambda: window.column("task_stream", "name").count("sweep") > 40)
    window.picture(path, WIDTH, 640)
    return path


def main(folder: str = str(FOLDER), rows: str = str(ROWS), iteration: str = str(ITERATION)) -> None:
    """Say what was taken; too large a picture is an error."""
    for path in take(Path(folder).absolute(), int(rows), int(iteration)):
        size = path.stat().st_size
        sys.stdout.write(f"{path}  {size / 1000:.0f} kB\n")
        if size > LARGEST:
            sys.exit(f"{path} is larger than {LARGEST / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
