"""The run folder owns its names: no other module spells one of them."""

import re
from pathlib import Path

import gmm_dask

PACKAGE = Path(gmm_dask.__file__).parent
FLOWS = PACKAGE.parent / "flows"
OWNERS = ("gmm_dask/runs/", "gmm_dask/models/")
NAMES = re.compile(
    r"model\.zarr|config\.toml|profile\.json|sample\.npz|report\.html|selection\.png"
    r"|history\.jsonl|FINISHED\.json|run\.json|performance\.html|[\"'/]checkpoints[\"'/]"
)
HELP = {
    "gmm_dask/cli/fit.py": {
        "The run folder keeps config.toml, history.jsonl, checkpoints/, model.zarr and report.html."
    },
    "gmm_dask/cli/select.py": {
        "The run folder keeps checkpoints, the best model, the curve as selection.png and a report."
    },
    "gmm_dask/report/__init__.py": {
        '"""Write `report.html` of a run, in place of an earlier one, and give its path or URL.'
    },
    "gmm_dask/settings/job.py": {"#   gmm-dask fit --config config.toml [--out ANOTHER_RUN]"},
}
"""What tells a user where to find things; paths are made of none of it."""


def test_only_the_run_folder_spells_what_lies_in_it() -> None:
    spelt: dict[str, set[str]] = {}
    for path in (*PACKAGE.rglob("*.py"), *FLOWS.rglob("*.py")):
        name = path.relative_to(PACKAGE.parent).as_posix()
        lines = {line.strip() for line in path.read_text().splitlines() if NAMES.search(line)}
        if lines and not name.startswith(OWNERS):
            spelt[name] = lines
    assert spelt == HELP
