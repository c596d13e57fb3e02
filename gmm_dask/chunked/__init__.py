"""Rows in chunks, on Dask: plans of blocks, passes over them, a fixed tree of sums."""
