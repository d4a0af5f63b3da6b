"""The columns of the tables of what attention does: `walk.csv` and `attention.csv`."""

from nexus_bench.io.column import Column

_PLACE = (
    Column("layer", "Int64", "number of the block, from 1"),
    Column("loop", "Int64", "number of the pass through the blocks, from 1"),
    Column("level", "Int64", "level of the nest (recursion depth), from 1, the innermost"),
    Column("path", "string", "which inner attention, if each has weights of its own"),
    Column(
        "head",
        "Int64",
        "from 1; for attention to pairs, first the heads of the first members, then of the second; empty: any head",
    ),
    Column("source", "string", "position that attends: `query` or `fact`; in attention.csv the number of the fact"),
)
WALK_COLUMNS = (
    *_PLACE,
    Column("step", "Int64", "from a query: hop of the attended fact; from a path fact: number of facts further along"),
    Column("n", "Int64", "attending positions that have such a fact"),
    Column("pointed", "Float64", "share of them that give this fact the largest weight"),
    Column("mass", "Float64", "mean attention weight on this fact"),
    Column("chance", "Float64", "`pointed` of a random head: 1 / facts; of any of h heads: 1 - (1 - 1/facts)^h"),
    Column("avoided", "Float64", "from a query: share of them that give this fact the smallest weight"),
    Column(
        "mean_ablated",
        "Float64",
        "where `head` is empty: accuracy if every head of this pass gives that fact its mean weight of other facts",
    ),
)
ATTENTION_COLUMNS = (
    *_PLACE,
    Column("fact", "Int64", "number of the attended fact"),
    Column("fact_name", "string", "symbols of this fact"),
    Column("hop_of_fact", "Int64", "its position on the path, from 1; empty off the path"),
    Column("weight", "Float64", "attention weight"),
)
