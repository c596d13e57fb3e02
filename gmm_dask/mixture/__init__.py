"""The mathematics of the mixture: NumPy and SciPy only, no idea that Dask or Zarr exist."""
