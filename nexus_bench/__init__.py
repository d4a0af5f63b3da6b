"""nexus-bench: how many reasoning hops can one attention layer make, as a function of attention order?"""

__version__ = "0.1.0"
