"""All fourteen families: what an M-step takes, and whole fits beside those of R's mclust.

    python -m tests.benchmarks.families [ROWS]

Fits begin from the same labels and end when a row gains less than 1e-8; one thread each.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gmm_dask import Configuration, fit
from gmm_dask.mixture.covariance import FAMILIES, family_named
from tests.mixture.mclust import NAMES

SHAPES = ((4, 4), (16, 16), (64, 32))
FEATURES, COMPONENTS = 6, 4
TOLERANCE = 1e-8
SCRIPT = """
suppressMessages(library(mclust))
files <- commandArgs(TRUE)
table <- as.matrix(read.csv(files[1], header = FALSE))
rows <- table[, -1]; z <- unmap(table[, 1])
ends <- emControl(tol = c(as.numeric(files[2]), 1e-8), itmax = c(5000, 5000))
for (name in strsplit(files[3], " ")[[1]]) {
    taken <- system.time(found <- me(rows, modelName = name, z = z, control = ends))
    cat(name, taken[["elapsed"]], format(found$loglik / nrow(rows), digits = 12), "\\n")
}
"""


def m_steps(features: int, components: int) -> dict[str, tuple[float, float]]:
    """Seconds of every family's first M-step and of a later one, of matrices that share no axes."""
    random = np.random.default_rng(0)
    counts = random.uniform(100, 1000, components)
    halves = random.normal(size=(components, features, features + 5))
    scatter = counts[:, None, None] * (halves @ halves.transpose(0, 2, 1) / features)
    laid_out = {
        "outer": scatter,
        "pooled": scatter.sum(axis=0),
        "squares": np.diagonal(scatter, axis1=1, axis2=2),
    }
    smallest, taken = np.full(features, 1e-20), {}
    for name in FAMILIES:
        kind = family_named(name)
        given = counts, laid_out[kind.layout.name], 1e-6, smallest
        begun = perf_counter()
        covariances = kind.regularised(*given).covariances
        between = perf_counter()
        kind.regularised(*given, covariances)
        taken[name] = between - begun, perf_counter() - between
    return taken


def drawn(rows: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Rows of overlapping components with axes of their own, and nearly the right labels."""
    random = np.random.default_rng(1)
    labels = random.integers(0, COMPONENTS, rows)
    values = random.normal(size=(rows, FEATURES))
    for k in range(COMPONENTS):
        axes = np.linalg.qr(random.normal(size=(FEATURES, FEATURES)))[0]
        extent, centre = np.exp(random.normal(size=FEATURES) / 2), random.normal(size=FEATURES)
        values[labels == k] = values[labels == k] * extent @ axes + 1.5 * centre
    moved = random.random(rows) < 0.2
    return values, np.where(moved, random.integers(0, COMPONENTS, rows), labels)


def mclusts(rows: NDArray[np.float64], labels: NDArray[np.intp]) -> dict[str, tuple[float, float]]:
    """Its seconds and mean log-likelihoods; none without R."""
    if shutil.which("Rscript") is None:
        return {}
    with TemporaryDirectory() as folder:
        table = Path(folder, "rows.csv")
        np.savetxt(table, np.column_stack([labels, rows]), delimiter=",", fmt="%.17g")
        size = TOLERANCE / 10  # of the whole log-likelihood, which is about ten a row here
        arguments = [str(table), str(size), " ".join(NAMES)]
        said = subprocess.run(
            ["Rscript", "-e", SCRIPT, *arguments], capture_output=True, text=True, check=True
        )
    lines = (line.split() for line in said.stdout.splitlines())
    return {name: (float(seconds), float(height)) for name, seconds, height in lines}


def main() -> int:
    """Print both tables; 1 where a fit ends lower than mclust's."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rows, labels = drawn(count)
    theirs, lower = mclusts(rows, labels), 0
    fit(rows, Configuration(COMPONENTS, init="labels", max_iter=1), labels=labels)  # compiles
    with threadpool_limits(1):
        steps = {shape: m_steps(*shape) for shape in SHAPES}
        lines = []
        for name in NAMES:
            asked = Configuration(
                COMPONENTS, name, init="labels", tol=TOLERANCE, max_iter=5000, reg_covar=0
            )
            begun = perf_counter()
            found = fit(rows, asked, labels=labels)
            ours = perf_counter() - begun
            seconds, height = theirs.get(name, (float("nan"), -np.inf))
            lower += found.mean_log_likelihood < height - 1e-6
            lines.append(
                [
                    name,
                    *(
                        f"{1e3 * first:.1f}, {1e3 * later:.1f}"
                        for first, later in (of[family_named(name).name] for of in steps.values())
                    ),
                    f"{ours:.2f}",
                    f"{seconds:.2f}",
                    f"{found.mean_log_likelihood - height:+.1e}",
                ]
            )
    shapes = [f"{d} x {k}, ms" for d, k in SHAPES]
    for line in [["family", *shapes, "fit, s", "mclust, s", "higher by"], *lines]:
        print("".join(f"{cell:>16}" for cell in line))
    return int(lower > 0)


if __name__ == "__main__":
    sys.exit(main())
