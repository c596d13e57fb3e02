"""What is used of other libraries beyond what they promise to keep.

One module for each library. Every part is named, says what is otherwise without it, and can be
looked for; where one is gone, the public way is taken, and the log and `gmm-dask doctor` say so.
Of Prefect nothing is used but what it documents.
"""

from gmm_dask.borrowed import of_codecs, of_dask, of_distributed, of_zarr
from gmm_dask.borrowed.part import Borrowed

__all__ = ["PARTS", "Borrowed"]

PARTS: tuple[Borrowed, ...] = (
    *of_zarr.PARTS,
    *of_codecs.PARTS,
    *of_dask.PARTS,
    *of_distributed.PARTS,
)
