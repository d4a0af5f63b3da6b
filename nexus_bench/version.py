"""The version of nexus-bench."""

__version__ = "0.1.0"
