"""How a block becomes statistics: kernels, and the choice among them by error bounds."""
