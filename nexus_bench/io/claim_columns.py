"""The columns of reproduction.csv: claimed figures and what was measured."""

from nexus_bench.io.column import Column

REPRODUCTION_COLUMNS = (
    Column("check", "Int64", "number of the check, from 1"),
    Column("claim", "string", "the sentence of the claim that is checked"),
    Column("measure", "string", "`accuracy` or `loss`, means over the hops, or hop `reach`"),
    Column("where", "string", "the rows of results.csv that the figure is about"),
    Column("hops", "string", "their hop counts"),
    Column("relation", "string", "to a value: `equals`, `at_least`, `at_most`; to rows: `above`, `near`, `not_below`"),
    Column("against", "string", "what differs in the rows that it is compared with, paired by seed"),
    Column("claimed", "Float64", "the value; with `above`, the least difference"),
    Column("within", "Float64", "tolerance"),
    Column("mean", "Float64", "mean over seeds of the measure, or of the difference"),
    Column("low", "Float64", "lower end of its interval, which holds together with those of all figures"),
    Column("high", "Float64", "its upper end"),
    Column("n_seeds", "Int64", "seeds measured"),
    Column("n_missing", "Int64", "seeds without a value: their cells failed, or are not trained yet"),
    Column("seeds", "string", "the value of each seed, separated by spaces"),
    Column("verdict", "string", "`holds`, `does not hold` or `not decided`"),
)
