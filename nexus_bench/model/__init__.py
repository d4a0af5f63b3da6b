"""The small transformer: its shape, its scores, its cost, and baselines of the same size."""
