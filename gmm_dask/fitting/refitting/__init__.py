"""A model kept up with rows that are appended: look, score, fit on, compare, promote or not."""
