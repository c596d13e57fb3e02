"""Which components belong together: how far they share rows, and the clusters that they make up."""
