"""Rows 15 to 24 of the matrix: what is given to a fit, good, bad, huge, hostile."""
