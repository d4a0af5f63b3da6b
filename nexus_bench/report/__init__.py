"""Results in, report out. Made from the files of a run folder alone; nothing here needs PyTorch."""
