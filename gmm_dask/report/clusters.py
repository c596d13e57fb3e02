"""Which components of the mixture belong together, where a run has been asked."""

from __future__ import annotations

import numpy as np

from gmm_dask import plots
from gmm_dask.fitting.html_table import html_table
from gmm_dask.report.markup import paragraph, picture, section
from gmm_dask.report.reported_run import ReportedRun
from gmm_dask.scoring.merging.overlap import merges_table

WIDTH = 10.2
TABLE = 20
"""Up to so many components, merges are in a table too."""


def clusters(run: ReportedRun) -> str:
    """The overlap as a map, and merges by both rules as trees and a curve."""
    found = run.overlap
    if found is None or found.mixture.components < 2:
        return ""
    by_entropy, by_rows = found.trees["entropy"], found.trees["misclassification"]
    height = float(np.clip(5.2 + 0.25 * found.mixture.components, 6, 14))
    weight = float(found.sums.counts.sum())
    tables = [by_entropy, by_rows] if found.mixture.components <= TABLE else []
    return section(
        "Clusters of components",
        paragraph(
            f"By entropy, {by_entropy.suggested} of {by_entropy.components} components are "
            f"suggested as clusters (where its curve bends); by misclassification, "
            f"{by_rows.suggested} (no two of which take more than 2.5 % of each other's rows)."
        ),
        picture(
            lambda figure: [
                plots.overlap(found, (axes := figure.subplots(2, 2))[0, 0]),
                plots.entropy_curve(by_entropy, weight, axes[0, 1]),
                plots.merges(by_entropy, axes[1, 0]),
                plots.merges(by_rows, axes[1, 1]),
            ],
            WIDTH,
            height,
            "Shares of rows that components would take of each other, and trees of their merges",
            "Above: rows of each component that would be taken for another's if there were these "
            "two alone, and the entropy of the clusters as components are merged. Below: merges by "
            "entropy (clustCombi) and by misclassification (DEMP), each with the share of rows "
            "that would be taken for the other's; colours are the clusters that are suggested.",
        ),
        *(html_table(merges_table(tree)) for tree in tables),
    )
