"""Tables from files of other kinds, streamed into Zarr: nothing larger than a chunk in memory."""

from gmm_dask.data.files import Imported, import_files

__all__ = ["Imported", "import_files"]
