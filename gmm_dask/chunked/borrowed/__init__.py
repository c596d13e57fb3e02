"""What is used of other libraries beyond what they promise to keep.

One module or package for each library. Every part is named, says what is otherwise without it, and
can be looked for; where one is gone, the public way is taken, and the log and `gmm-dask doctor` say
so. Of Prefect nothing is used but what it documents.
"""

from gmm_dask.chunked.borrowed import codecs, dask, distributed, zarr
from gmm_dask.chunked.borrowed.part import Borrowed

__all__ = ["PARTS", "Borrowed"]

PARTS: tuple[Borrowed, ...] = (
    *zarr.PARTS,
    *codecs.PARTS,
    *dask.PARTS,
    *distributed.PARTS,
)
