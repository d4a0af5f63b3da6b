"""The version of nexus-bench, and its licence."""

__version__ = "0.1.0"
LICENCE = "MIT"  # as in pyproject.toml
