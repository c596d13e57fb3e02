"""Gaussian mixtures for data that fits no machine."""
