"""The version of nexus-bench."""

__version__ = "0.2.0"
