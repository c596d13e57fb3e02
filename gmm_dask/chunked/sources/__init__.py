"""Where rows come from: one file per kind of storage, all behind one protocol.

Knows how to open, cut and read; knows nothing of passes, clusters or mixtures.
"""

from gmm_dask.chunked.sources.cells import Cells
from gmm_dask.chunked.sources.opening import open_column, open_features
from gmm_dask.chunked.sources.protocol import DataError, Source, Values

__all__ = ["Cells", "DataError", "Source", "Values", "open_column", "open_features"]
