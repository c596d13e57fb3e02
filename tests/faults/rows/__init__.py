"""Rows of the matrix, each a function of scale and seed."""
