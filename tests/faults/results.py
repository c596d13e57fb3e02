"""What rows have come to, one JSON file each, and the table written from all of them."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.faults.matrix import ROWS, Row
from tests.faults.outcome import Outcome, Scale

HERE = Path(__file__).parent
SAVED = HERE / "results"
TABLE = HERE / "RESULTS.md"

_HEAD = """# What was tried, and what came of it

Written by `python -m tests.faults` from the files in `results/`, of which a row rewrites its own:
do not edit. `python -m tests.faults --rows N --seed S` plays a row again.

| # | tried | bar | survived | lost | worst recovery | held |
|---|---|---|---|---|---|---|
"""


def save(row: Row, outcome: Outcome, scale: Scale, seed: int, seconds: float) -> None:
    """The row's file; a small run is none of the results."""
    if scale == "small":
        return
    SAVED.mkdir(exist_ok=True)
    content = {
        "row": row.number,
        "tried": row.tried,
        "bar": row.bar,
        "survived": outcome.survived,
        "lost": outcome.lost,
        "worst_recovery_seconds": outcome.worst,
        "held": outcome.held,
        "broken": outcome.broken,
        "figures": outcome.figures,
        "seed": seed,
        "seconds": round(seconds, 1),
        "load": round(os.getloadavg()[0], 1),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _commit(),
    }
    path = SAVED / f"row-{row.number:02d}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")


def write_table() -> None:
    found = [json.loads(path.read_text()) for path in sorted(SAVED.glob("row-*.json"))]
    lines = [_line(row) for row in found]
    missing = sorted(set(ROWS) - {row["row"] for row in found})
    if missing:
        lines.append(f"\nNot run yet: {', '.join(map(str, missing))}.")
    lines.append("\n## Row by row\n")
    lines += [_paragraph(row) for row in found]
    TABLE.write_text(_HEAD + "\n".join(lines) + "\n")


def _line(row: dict[str, Any]) -> str:
    worst = row["worst_recovery_seconds"]
    cells = (
        row["row"],
        row["tried"],
        row["bar"],
        f"{row['survived']:,}",
        f"{row['lost']:,}",
        "" if worst is None else f"{worst:.1f} s",
        "yes" if row["held"] else "**no**",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _paragraph(row: dict[str, Any]) -> str:
    told = [
        f"**{row['row']}.** {row['seconds']} s, seed {row['seed']}, load {row['load']} at its end, "
        f"{row['date']}, {row['commit']}."
    ]
    told += [f"- {name}: {value}" for name, value in row["figures"].items()]
    told += [f"- **not held:** {why}" for why in row["broken"]]
    return "\n".join(told) + "\n"


def _commit() -> str:
    """The commit, and whether the library differed from it."""
    asked = ["git", "describe", "--always", "--abbrev=7", "--exclude=*"]
    try:
        found = subprocess.run(asked, cwd=HERE, capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "diff", "--quiet", "HEAD", "--", "gmm_dask"], cwd=HERE.parent.parent
        )
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return found.stdout.strip() + (" with changes" if changed.returncode else "")
