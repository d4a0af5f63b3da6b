"""The training engine: one model at a time, or many of equal shape stacked in one step."""
