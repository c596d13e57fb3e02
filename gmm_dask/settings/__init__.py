"""What a fit is asked for: every option once. No Dask, no Zarr."""
