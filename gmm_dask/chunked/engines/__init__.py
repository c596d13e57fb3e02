"""Where passes run: in this process, or on a Dask cluster, to the same bits."""
