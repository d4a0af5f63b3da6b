"""Task families: one file each, numpy only."""
