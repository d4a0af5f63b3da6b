"""From a suite to a run folder: cells are trained, and every result is kept."""
