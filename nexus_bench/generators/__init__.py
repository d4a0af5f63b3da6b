"""Task families, one file each, NumPy only: examples whose hop count is true."""
