"""The Dask cluster of a fit: one that is there, one that is started for it, or none."""
