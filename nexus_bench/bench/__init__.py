"""Benchmarks of speed and memory: making examples, attention passes, training."""
