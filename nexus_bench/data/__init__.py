"""A task at one setting: splits that never overlap, encodings, and dataset folders."""
