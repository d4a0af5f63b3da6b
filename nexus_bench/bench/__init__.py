"""Benchmarks of speed and memory: `nexus-bench bench`."""
