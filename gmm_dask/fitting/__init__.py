"""From rows to a mixture: plans, the loop that carries them out, what it keeps and tells."""
