"""A mixture as a table: one line a component."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.table import Table

from gmm_dask.mixture.parameters import Mixture

SHOWN = 6


def components_table(mixture: Mixture, names: Sequence[str] | None) -> Table:
    """Weights, and mean ± standard deviation of the first features; the heaviest first."""
    names = list(names or (f"x{j}" for j in range(mixture.features)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("component", "weight", *names[:SHOWN]):
        table.add_column(heading, justify="right")
    if mixture.features > SHOWN:
        table.add_column(f"… {mixture.features - SHOWN} more")
    deviations = np.sqrt(mixture.variances)
    for k in np.argsort(-mixture.weights, kind="stable"):
        pairs = zip(mixture.means[k, :SHOWN], deviations[k, :SHOWN], strict=True)
        table.add_row(
            str(k), f"{mixture.weights[k]:.4f}", *(f"{m:.4g} ± {s:.3g}" for m, s in pairs)
        )
    return table
