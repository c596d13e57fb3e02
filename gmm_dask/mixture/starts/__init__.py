"""Where a fit can begin: drawn from a sample of rows, given, or the winners of a race."""
