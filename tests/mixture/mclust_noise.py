"""What R's mclust finds beside noise in all fourteen families, beside what is kept of it.

    python -m tests.mixture.mclust_noise    # needs Rscript and its package mclust

Labels are 1 up, 0 is noise; the kept numbers are log-likelihood, parameters and BIC, and the
inverse of the volume that was given.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tests.mixture.mclust import NAMES

KEPT = Path(__file__).with_suffix(".json")
SCRIPT = """
suppressMessages(library(mclust))
for (file in commandArgs(TRUE)) {
    table <- as.matrix(read.csv(file, header = FALSE))
    rows <- table[, -1, drop = FALSE]
    count <- max(table[, 1])
    inverse <- 1 / prod(apply(rows, 2, function(x) diff(range(x))))
    tight <- emControl(tol = c(1e-13, 1e-13), itmax = c(20000, 20000))
    z <- sapply(c(1:count, 0), function(k) as.numeric(table[, 1] == k))  # noise is the last
    for (name in strsplit("%s", " ")[[1]]) {
        found <- me(rows, modelName = name, z = z, Vinv = inverse, control = tight)
        size <- nMclustParams(name, ncol(rows), count, noise = TRUE)
        criterion <- bic(name, found$loglik, nrow(rows), ncol(rows), count, noise = TRUE)
        numbers <- format(c(found$loglik, criterion, inverse), digits = 16)
        cat(basename(file), name, numbers, size, "\\n")
    }
}
"""


def tables() -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.intp]]]:
    """Names, rows and labels; components overlap, beside a uniform tenth or fifth of noise."""
    for seed, (features, components, size, noise) in enumerate(((2, 2, 300, 30), (4, 3, 500, 100))):
        random = np.random.default_rng(seed)
        labels = random.integers(1, components + 1, size)
        labels[:noise] = 0
        rows = random.normal(size=(size, features))
        for k in range(1, components + 1):
            axes = np.linalg.qr(random.normal(size=(features, features)))[0]
            extent = np.exp(random.normal(size=features) / 2)
            moved = rows[labels == k] * extent @ axes
            rows[labels == k] = moved + 2.5 * random.normal(size=features)
        rows[:noise] = random.uniform(-8, 8, (noise, features))
        yield f"{features}_features", rows, labels.astype(np.intp)


def main() -> None:
    """Ask mclust, and keep what it says."""
    with TemporaryDirectory() as folder:
        files = []
        for name, rows, labels in tables():
            files.append(str(Path(folder, name)))
            table = np.column_stack([labels, rows])
            np.savetxt(files[-1], table, delimiter=",", fmt="%.17g")
        said = subprocess.run(
            ["Rscript", "-e", SCRIPT % " ".join(NAMES), *files],
            capture_output=True,
            text=True,
            check=True,
        )
    kept: dict[str, dict[str, list[float]]] = {}
    for line in said.stdout.splitlines():
        table, name, *numbers = line.split()
        kept.setdefault(table, {})[name] = [float(number) for number in numbers]
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
