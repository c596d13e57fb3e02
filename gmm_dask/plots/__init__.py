"""Pictures of mixtures, fits and selections: functions that draw into axes and return them.

Every function takes `ax` (or `figure`, where it makes several axes), or makes a figure of its own;
colours belong to components and are the same in every picture.
"""

from gmm_dask.plots.components import means, weights
from gmm_dask.plots.criterion import choices_curve, criterion_curve
from gmm_dask.plots.densities import densities, density
from gmm_dask.plots.merging import entropy_curve, merges, overlap
from gmm_dask.plots.passes import changes, convergence, time_per_pass
from gmm_dask.plots.scatter import pairs, scatter

__all__ = [
    "changes",
    "choices_curve",
    "convergence",
    "criterion_curve",
    "densities",
    "density",
    "entropy_curve",
    "means",
    "merges",
    "overlap",
    "pairs",
    "scatter",
    "time_per_pass",
    "weights",
]
