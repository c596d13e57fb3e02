"""The peers' own environments under `.bench/`, pinned; made once."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[3]
BENCH = ROOT / ".bench"

PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "onedal": ("daal4py==2024.7.0", "scikit-learn==1.4.2", "numpy==1.26.4", "packaging"),
        "pomegranate_": ("torch==2.13.0", "pomegranate==1.1.2"),
        "spark": ("pyspark==4.3.0", "numpy==2.4.6", "pandas==3.1.1", "pyarrow==26.0.1"),
    }
)
"""gmm-dask and scikit-learn run in the project's own environment."""


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made first if it is not there."""
    if peer not in PACKAGES:
        return Path(sys.executable)
    home = BENCH / peer
    python = home / "bin" / "python"
    ready = home / ".ready"
    if not ready.exists():
        print(f"setting up {peer} in {home.relative_to(ROOT)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        # one after the other: a package must find the build that was chosen before it
        for package in PACKAGES[peer]:
            command = [python, "-m", "pip", "install", "--quiet", package]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        ready.touch()
    return python
