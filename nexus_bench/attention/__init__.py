"""Attention mechanisms, one file each, with naive references and GPU kernels."""
