"""A fitted mixture as it is stored, and the versions of one that is kept up with its rows."""
