"""What R's mclust (clustCombi) and fpc (mergenormals) merge, beside what is kept of it.

    python -m tests.scoring.merging     # needs Rscript, mclust and fpc; writes merging.json

Both are given responsibilities of mixtures that are written down here, by scipy's densities.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris

from gmm_dask import Mixture

KEPT = Path(__file__).with_suffix(".json")
SCRIPT = """
suppressMessages({library(mclust); library(fpc)})
said <- function(...) cat(..., "\\n")
for (file in commandArgs(TRUE)) {
    z <- as.matrix(read.csv(file, header = FALSE)); colnames(z) <- NULL
    G <- ncol(z); name <- basename(file)
    found <- mclust:::combi(z, list(G = G, z = z))
    for (K in G:1) {
        members <- diag(G)
        for (step in G:K) members <- found$combiM[[step]] %*% members
        said(name, "clusters", apply(members, 2, which.max))
        said(name, "entropy", format(-sum(mclust:::xlog(found$combiz[[K]])), digits = 17))
    }
    bend <- clustCombiOptim(list(MclustOutput = list(z = z), combiM = found$combiM))
    said(name, "suggested", bend$numClusters.combi)
    shares <- zmisclassification.matrix(z, symmetric = FALSE)
    said(name, "demp", format(t(shares), digits = 17))
    merged <- mergenormals(matrix(0, nrow(z), 2), clustering = apply(z, 1, which.max),
        probs = colMeans(z), muarray = matrix(0, 2, G), Sigmaarray = array(diag(2), c(2, 2, G)),
        z = z, method = "demp", numberstop = 1)
    said(name, "values", format(merged$valuemerged, digits = 17))
    said(name, "defunct", merged$defunct.components)
}
"""


def problems() -> Iterator[tuple[str, Mixture, NDArray[np.float64]]]:
    """Names, mixtures and rows: clusters that are made of several components."""
    random = np.random.default_rng(10)
    means = np.array([[0, 0], [1.5, 0.5], [6, 0], [6.5, 1.8], [0, 7], [3, 3]])
    weights = np.array([0.25, 0.15, 0.2, 0.1, 0.2, 0.1])
    shapes = np.stack([np.diag(random.uniform(0.5, 2, 2)) for _ in means])
    planar = Mixture(weights, means, shapes)
    yield "planar", planar, planar.sample(500, random)[0]
    loose = 1.3 * random.normal(size=(8, 4))
    roots = random.normal(size=(8, 4, 4))
    mixture = Mixture(np.full(8, 1 / 8), loose, roots @ roots.transpose(0, 2, 1) + np.eye(4) / 2)
    yield "eight", mixture, mixture.sample(700, random)[0]
    iris = load_iris().data
    centres = iris[[5, 20, 60, 90, 110, 140]]
    yield "iris", Mixture(np.full(6, 1 / 6), centres, np.stack([np.cov(iris[:50].T)] * 6)), iris


def brute_responsibilities(mixture: Mixture, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """By definition, one component at a time."""
    parts = zip(mixture.weights, mixture.means, mixture.matrices, strict=True)
    logs = np.array([np.log(w) + multivariate_normal(m, c).logpdf(rows) for w, m, c in parts]).T
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def main() -> None:
    """Ask both, and keep what they say."""
    kept: dict[str, dict[str, list[list[float]]]] = {}
    with TemporaryDirectory() as folder:
        for name, mixture, rows in problems():
            shares = brute_responsibilities(mixture, rows)
            np.savetxt(Path(folder, name), shares, delimiter=",", fmt="%.17g")
        files = [str(Path(folder, name)) for name, _, _ in problems()]
        said = subprocess.run(
            ["Rscript", "-e", SCRIPT, *files], capture_output=True, text=True, check=True
        )
    for line in said.stdout.splitlines():
        name, what, *numbers = line.split()
        kept.setdefault(name, {}).setdefault(what, []).append([float(one) for one in numbers])
    KEPT.write_text(json.dumps(kept) + "\n")


if __name__ == "__main__":
    main()
