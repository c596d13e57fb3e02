"""The run folder: what one run leaves, written by its driver and read by everyone else."""
