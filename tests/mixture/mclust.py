"""What R's mclust finds in all fourteen families from given labels, beside what is kept of it.

    python -m tests.mixture.mclust      # needs Rscript and its package mclust; writes mclust.json

Tables are drawn from seeds, or iris; the kept numbers are log-likelihood, parameters and BIC.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_iris

KEPT = Path(__file__).with_suffix(".json")
NAMES = (
    *("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE"),
    *("VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"),
)
WITH_PRIOR = ("VII", "EEI", "EVI", "VVI", "EEE", "VVV")
"""Families whose M-step in mclust 6 is the mode of the prior that it states. Its EII leaves out the
scale, its VEI, EEV and VEV have other degrees of freedom each, and the other four no prior."""
SCRIPT = """
suppressMessages(library(mclust))
for (file in commandArgs(TRUE)) {
    table <- as.matrix(read.csv(file, header = FALSE))
    rows <- table[, -1, drop = FALSE]
    tight <- emControl(tol = c(1e-13, 1e-13), itmax = c(20000, 20000))
    for (name in strsplit("%s", " ")[[1]]) {
        found <- me(rows, modelName = name, z = unmap(table[, 1]), control = tight)
        count <- nMclustParams(name, ncol(rows), length(unique(table[, 1])))
        criterion <- bic(name, found$loglik, nrow(rows), ncol(rows), length(unique(table[, 1])))
        cat(basename(file), name, format(c(found$loglik, criterion), digits = 16), count, "\\n")
    }
    for (name in strsplit("%s", " ")[[1]]) {
        step <- get(paste0("mstep", name))(rows, unmap(table[, 1]), prior = priorControl())
        variances <- step$parameters$variance$sigma
        cat(basename(file), paste0(name, "+prior"), format(variances, digits = 16), "\\n")
    }
}
"""


def tables() -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.intp]]]:
    """Names, rows and labels; components overlap, and no family is the true one."""
    for seed, (features, components, rows) in enumerate(((2, 3, 300), (4, 3, 400), (7, 4, 900))):
        random = np.random.default_rng(seed)
        labels = random.integers(0, components, rows)
        drawn = random.normal(size=(rows, features))
        for k in range(components):
            axes = np.linalg.qr(random.normal(size=(features, features)))[0]
            extent = np.exp(random.normal(size=features) / 2)
            drawn[labels == k] = drawn[labels == k] * extent @ axes + 1.5 * random.normal(
                size=features
            )
        yield f"{features} features", drawn, labels
    iris = load_iris()
    yield "iris", iris.data, iris.target.astype(np.intp)


def main() -> None:
    """Ask mclust, and keep what it says."""
    with TemporaryDirectory() as folder:
        for name, rows, labels in tables():
            table = np.column_stack([labels, rows])
            np.savetxt(Path(folder, name), table, delimiter=",", fmt="%.17g")
        files = [str(Path(folder, name)) for name, _, _ in tables()]
        script = SCRIPT % (" ".join(NAMES), " ".join(WITH_PRIOR))
        said = subprocess.run(
            ["Rscript", "-e", script, *files], capture_output=True, text=True, check=True
        )
    kept: dict[str, dict[str, list[float]]] = {}
    for line in said.stdout.splitlines():
        table = next(name for name, _, _ in tables() if line.startswith(name))
        name, *numbers = line.removeprefix(table).split()
        kept.setdefault(table, {})[name] = [float(number) for number in numbers]
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
