"""From a suite to a run folder: every cell is trained and every result is kept."""
