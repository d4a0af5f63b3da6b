"""From Python: what `import nexus_bench as nb` gives, thin over what the commands use.

>>> import nexus_bench as nb
>>> print(nb.show("pointer_chase", hops=2, n_nodes=6, seed=1).chain)
node16 -> node5 -> node1

The package itself hands the names on, each imported on first use.
"""
