"""The README's picture of Prefect's page of a run: python -m tests.flows.pictures

Needs PostgreSQL, chromium and its driver. Another folder than deploy/pictures may be given.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect.client.schemas.objects import StateType

from gmm_dask.data.synthetic import make, recipe_named
from tests.dashboard.browser import browser
from tests.flows.asking import Asking
from tests.flows.servers import platform

FOLDER = Path(__file__).parents[2] / "deploy" / "pictures"
WIDTH, LARGEST = 1200, 200_000


def take(folder: Path, rows: int = 200_000) -> list[Path]:
    """The page of a finished run, and its report."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place:
        store = str(Path(place) / "blobs.zarr")
        make(recipe_named("blobs", 4, 6, 0), store, rows, seed=1)
        with (
            platform(Path(place) / "platform") as there,
            there.worker(),
            Asking.of(there) as asking,
        ):
            asked = {"mixture": {"components": 6, "tol": 1e-8, "accelerate": "none"}}
            run = asking.run("fit-mixture/fit", source=store, cluster={"workers": 2}, **asked)
            asking.ends_as(run, StateType.COMPLETED)
            with browser() as window:
                page = f"{there.interface}/runs/flow-run/{run}"
                taken = [folder / "prefect-run.png", folder / "prefect-report.png"]
                window.open(page)
                window.until(lambda: "Completed" in window.text())
                window.picture(taken[0], WIDTH, 760)
                report = next(one for one in asking.found(run) if one.key.startswith("fit-"))
                window.open(f"{there.interface}/artifacts/artifact/{report.id}")
                window.until(lambda: "iterations" in window.text())
                window.picture(taken[1], WIDTH, 760)
    return taken


if __name__ == "__main__":
    for path in take(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        size = path.stat().st_size
        sys.stdout.write(f"{path}  {size / 1000:.0f} kB\n")
        if size > LARGEST:
            sys.exit(f"{path} is larger than {LARGEST / 1000:.0f} kB")
