"""GPU kernels: the fast path of an attention pass."""
