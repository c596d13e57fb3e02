"""What each section of the benchmark found, one JSON file a section, so that any runs alone."""

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from gmm_dask.mixture.compilation import compiler

HERE = Path(__file__).parent


def save(section: str, found: object) -> None:
    """Keep what this section found, with the machine and the day."""
    path = HERE / f"{section}.json"
    path.write_text(json.dumps({"machine": machine(), "found": found}, indent=1) + "\n")


def read(section: str) -> Any:
    """What the section found when it last ran; None where it never did."""
    path = HERE / f"{section}.json"
    return json.loads(path.read_text()) if path.exists() else None


def machine() -> dict[str, object]:
    """Where and when, as far as figures depend on it."""
    return {
        "day": time.strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": compiler(),
    }


def processor() -> str:
    """Its name, where the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
