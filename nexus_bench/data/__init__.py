"""Splits that never meet, and dataset folders: written, read, checked."""
