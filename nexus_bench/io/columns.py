"""The columns of every table that is written."""

from typing import Any

from nexus_bench.io.attention_columns import ATTENTION_COLUMNS as ATTENTION_COLUMNS
from nexus_bench.io.attention_columns import WALK_COLUMNS as WALK_COLUMNS
from nexus_bench.io.claim_columns import REPRODUCTION_COLUMNS as REPRODUCTION_COLUMNS
from nexus_bench.io.column import Column as Column

FORMAT_VERSION = 2  # of run folders; raised by hand when a column is removed or a spec gives other results

Row = dict[str, Any]  # of a table: column -> value


TRAIN, VAL, TEST = "train", "val", "test"  # splits of the same distribution
IID, HOP_OOD, SIZE_OOD, PATTERN_OOD = "iid", "hop_ood", "size_ood", "pattern_ood"  # laws; three are splits
SCORED, FAILED = "scored", "failed"  # values of `status`
MEASURED, TUNING = "measured", "tuning"  # values of `purpose`
CURRICULUM = ", curriculum "  # in `model`, between the model and its curriculum

COLUMNS = (
    Column("cell_id", "string", "the cell, one training run: a hash of task, model, recipe, seed and versions"),
    Column("suite", "string", "the suite it was run in"),
    Column("task", "string", "task family"),
    Column("task_version", "Int64", "version of the family's definition"),
    Column(
        "encoding",
        "string",
        "`fact`: a fact is one position; `flat`, `sequence`: each symbol is one token; `text`: English",
    ),
    Column("train_hops", "string", "hops in training"),
    Column("n_facts", "Int64", "facts per graph"),
    Column("vocab_size", "Int64", "symbols in the vocabulary that facts are drawn from"),
    Column("distractors", "string", "kind of facts off the path (they derive nothing)"),
    Column("attention", "string", "attention mechanism; `external` for answers of other models"),
    Column("attention_version", "Int64", "version of the mechanism's definition"),
    Column("order", "Int64", "attention order m; 1 for mechanisms that do not nest"),
    Column("inner", "string", "Nexus: what the inner attention yields"),
    Column("combine", "string", "Nexus: how the inner output is combined with the input"),
    Column("refine", "string", "Nexus: which of queries, keys and values are computed from the inner output"),
    Column("share", "string", "Nexus: whether levels share weights"),
    Column("position", "string", "position embedding"),
    Column("mask", "string", "`facts`: only facts are attended to; `causal`: earlier positions, but of no other query"),
    Column("n_layers", "Int64", "blocks with weights of their own"),
    Column("n_loops", "Int64", "how often the blocks are applied"),
    Column("d_model", "Int64", "width"),
    Column("n_heads", "Int64", "attention heads"),
    Column("lr", "Float64", "peak learning rate"),
    Column("batch_size", "Int64", "graphs per optimiser step"),
    Column("n_queries", "Int64", "labelled queries per graph"),
    Column("steps", "Int64", "optimiser steps allowed"),
    Column("mode", "string", "`single`: one model at a time; `deterministic`, `tf32`, `bfloat16`: stacked"),
    Column("seed", "Int64", "fixes the data, the initial weights and the order of the data"),
    Column(
        "split",
        "string",
        "`val`, `test`, `hop_ood`, `size_ood`, `pattern_ood`, or `eval_...` for a later evaluation of saved weights",
    ),
    Column("hop", "Int64", "hop count of these examples: how many facts derive the answer"),
    Column("n_examples", "Int64", "examples scored"),
    Column("n_correct", "Int64", "examples answered right"),
    Column("accuracy", "Float64", "n_correct / n_examples"),
    Column(
        "chance",
        "Float64",
        "accuracy of the best guess that follows no fact, as the family declares; of English: of shuffled sentences",
    ),
    Column("shortcut", "Float64", "accuracy of the best heuristic baseline on the same examples"),
    Column("shortcut_name", "string", "that baseline"),
    Column(
        "partial_input",
        "Float64",
        "partial-input ceiling, as the family declares: the best accuracy with one fact of the derivation hidden",
    ),
    Column("loss", "Float64", "mean cross-entropy, nats"),
    Column("steps_to_95", "Int64", "first evaluated step from which validation stays at 0.95 or more; empty if never"),
    Column("n_params", "Int64", "trained parameters"),
    Column("flops_per_step", "Int64", "floating-point operations of the matrix products of a training step"),
    Column(
        "status",
        "string",
        "`trained`: all steps; `solved`: stopped early, validation solved; `given_up`: stopped early by a rule of the "
        "recipe; `failed`; `scored`: of another model",
    ),
    Column("version", "string", "version of nexus-bench"),
    Column("steps_done", "Int64", "optimiser steps made"),
    Column("model", "string", "the model in words"),
    Column("curriculum", "string", "over the hops: `none`, `staged`, `adaptive`"),
    Column("task_options", "string", "parameters of the task that have no column, as `key=value; key=value`"),
    Column("attention_options", "string", "options of the attention that have no column, likewise"),
    Column("recipe_options", "string", "values of the training recipe that have no column, likewise"),
    Column("mlp_ratio", "Int64", "hidden width of the MLP over d_model"),
    Column("reuse", "Int64", "how often each training graph is used"),
    Column("purpose", "string", "`measured`; `tuning`: trained only to choose a recipe on validation, in no report"),
    Column(
        "model_options", "string", "values of the model that have no column and are not the default, likewise", True
    ),
)
_KNOWN = {column.name: column for column in COLUMNS}


def _known(*names: str) -> tuple[Column, ...]:
    return tuple(_KNOWN[name] for name in names)


SETTING_COLUMNS = _known(
    "task",
    "task_version",
    "encoding",
    "train_hops",
    "n_facts",
    "vocab_size",
    "distractors",
    "n_queries",
    "batch_size",
    "steps",
)
_SETTING_MORE = _known("task_options", "reuse")  # at the end of each table, as they came later
_INTERVAL = (Column("low", "Float64", "lower end of the 95% interval"), Column("high", "Float64", "its upper end"))
_P = (
    Column("p", "Float64", "p-value of the exact paired test, two-sided"),
    Column("p_holm", "Float64", "the p-value corrected by Holm for the pairs of the same setting and kind"),
)

CURVE_COLUMNS = (
    *_known("cell_id", "model", "seed"),
    Column("step", "Int64", "optimiser steps made"),
    *_known("hop", "accuracy", "loss"),
)
TIMING_COLUMNS = (
    *_known("cell_id", "model", "seed"),
    Column("device", "string", "`cpu` or `cuda`"),
    Column("train_seconds", "Float64", "seconds of training with all that belongs to it; in a stack, the cell's share"),
    Column("setup_seconds", "Float64", "seconds of these before the second step, as of compilation"),
    Column("steps_per_second", "Float64", "optimiser steps per train_seconds"),
    Column("tflops", "Float64", "10^12 operations (`flops_per_step`) per train_seconds: the rate of the whole stack"),
    Column("share_of_peak", "Float64", "of the device's dense peak in this precision; empty if that is not known"),
    *_known("mode"),
    Column("environment", "Int64", "what it was trained in: number of the entry of env.json, from 1"),
)
PLACE_COLUMNS = (
    *_known("cell_id", "model", "seed", "split", "hop"),
    Column("by", "string", "what this is accuracy by: `place` of the label, or `length` of the sequence"),
    Column("first", "Int64", "the first place, counted from 1, or the smallest length, in tokens"),
    Column("last", "Int64", "the last place or the largest length; a bin of some hop holds as many labels as the next"),
    *_known("n_examples", "n_correct", "accuracy"),
)
ACCURACY_COLUMNS = (
    *SETTING_COLUMNS,
    *_known("split", "model", "order", "hop"),
    Column("mean", "Float64", "accuracy, mean over seeds"),
    *_INTERVAL,
    Column("n_seeds", "Int64", "seeds measured"),
    Column("n_failed", "Int64", "cells that failed; they are left out of every figure"),
    Column("seeds", "string", "accuracy of each seed, separated by spaces"),
    *_known("chance", "shortcut", "partial_input"),
    *_SETTING_MORE,
)
REACH_COLUMNS = (
    *SETTING_COLUMNS,
    *_known("split", "model", "order"),
    Column("mean", "Float64", "hop reach, mean over seeds"),
    *_INTERVAL,
    Column("n_failed", "Int64", "cells that failed; they are left out of every figure"),
    Column("n_solved", "Int64", "cells that stopped early because validation stayed solved"),
    Column("seeds", "string", "hop reach of each seed, separated by spaces"),
    *_known("n_params", "flops_per_step", "lr"),
    Column("reach_per_mparam", "Float64", "hop reach per million parameters"),
    Column("reach_per_gflop", "Float64", "hop reach per GFLOP of a training step"),
    *_SETTING_MORE,
    *_known("recipe_options"),
)
REACHED_COLUMNS = (
    *SETTING_COLUMNS,
    *_known("split", "model", "hop"),
    Column("threshold", "Float64", "accuracy from which a hop counts as solved"),
    Column(
        "n_reached",
        "Int64",
        "seeds whose accuracy is at least that at every hop evaluated up to this one; empty where `partial_input` is",
    ),
    Column("n_seeds", "Int64", "seeds measured"),
    Column("low", "Float64", "lower end of the 95% interval of n_reached / n_seeds; empty for answers of other models"),
    Column("high", "Float64", "its upper end"),
    *_SETTING_MORE,
)
COMPARISON_COLUMNS = (
    *SETTING_COLUMNS,
    Column(
        "kind",
        "string",
        "`declared` in the suite; exploration: `models`, any two; `matched`, a model and a standard one of its size",
    ),
    Column("model", "string", "the model in words"),
    Column("baseline", "string", "the model that it is compared with"),
    Column("equal", "string", "what is equal within 5%; empty if nothing is, and for `models`"),
    Column("parameters", "Float64", "the baseline's parameters over the model's; empty for `models`"),
    Column("compute", "Float64", "the baseline's operations over the model's; empty for `models`"),
    Column("reach", "Float64", "hop reach of the model, mean over the paired seeds"),
    Column("baseline_reach", "Float64", "hop reach of the baseline, likewise"),
    Column("n_seeds", "Int64", "seeds that both have"),
    Column("mean", "Float64", "difference of hop reach, mean over the paired seeds"),
    *_INTERVAL,
    *_P,
    Column("verdict", "string", "`better`, `worse`, `no difference shown`, `too few seeds` or `not tested`"),
    Column("n_further", "Int64", "paired seeds on which the model reaches further than the baseline"),
    Column("n_behind", "Int64", "paired seeds on which it reaches less far"),
    *_SETTING_MORE,
)

COMPARE_COLUMNS = (
    *SETTING_COLUMNS,
    *_known("model", "lr", "curriculum", "split", "hop"),
    Column("metric", "string", "`accuracy` at this hop, or hop `reach` over all hops, where `hop` is empty"),
    Column("n_seeds", "Int64", "seeds that both runs measured"),
    Column("base", "Float64", "mean of the base over these seeds; over all of its own where the new run has none"),
    Column("new", "Float64", "mean of the new run, likewise"),
    Column("difference", "Float64", "new minus base"),
    Column("low", "Float64", "lower end of the interval of the difference; empty where there is none"),
    Column("high", "Float64", "upper end of this interval"),
    Column("confidence", "Float64", "confidence of this interval by itself"),
    Column(
        "verdict",
        "string",
        "`regression`, `within noise`, `ok`, `improvement`, `failed`, `missing` from the new run or `new only`",
    ),
    Column("base_seeds", "string", "value of the base at each of these seeds, separated by spaces"),
    Column("new_seeds", "string", "value of the new run at each of these seeds, separated by spaces"),
    Column("note", "string", "why there is no verdict, or what it leaves out"),
    *_SETTING_MORE,
    *_known("recipe_options", "attention_options", "mlp_ratio", "model_options"),
)
PREDICTION_COLUMNS = (
    *_known("cell_id", "model", "seed", "split"),
    Column("graph", "Int64", "number of the graph in its split"),
    Column("query", "Int64", "number of the query in its graph"),
    *_known("hop"),
    Column("answer", "string", "the right answer"),
    Column("prediction", "string", "what the model answers"),
    Column("rank", "Int64", "rank of the right answer among all answers by the model's scores; 1: answered right"),
    Column("probability", "Float64", "probability that the model gives to the right answer"),
)
LOG_COLUMNS = (
    Column("step", "Int64", "steps of the optimiser so far"),
    Column("tokens", "Int64", "tokens trained on so far"),
    Column("loss", "Float64", "loss of a token in nats, mean over the steps since the row above"),
    Column("held_out_loss", "Float64", "loss of a token of the held-out text in nats, where it was evaluated"),
    Column("bits_per_byte", "Float64", "the same in bits for each byte of the text: comparable between tokenizers"),
    Column(
        "tokens_per_second", "Float64", "speed since the row above, on all devices; empty where a pass was compiled"
    ),
    Column(
        "mfu", "Float64", "model FLOP utilisation: operations of the model over the peak of the devices in bfloat16"
    ),
)
TABLES: dict[str, tuple[Column, ...]] = {
    "results.csv": COLUMNS,
    "curve.csv": CURVE_COLUMNS,
    "timing.csv": TIMING_COLUMNS,
    "places.csv": PLACE_COLUMNS,
    "report.csv": ACCURACY_COLUMNS,
    "reach.csv": REACH_COLUMNS,
    "reached.csv": REACHED_COLUMNS,
    "comparisons.csv": COMPARISON_COLUMNS,
    "compare.csv": COMPARE_COLUMNS,
    "predictions.csv": PREDICTION_COLUMNS,
    "walk.csv": WALK_COLUMNS,
    "attention.csv": ATTENTION_COLUMNS,
    "log.csv": LOG_COLUMNS,
    "reproduction.csv": REPRODUCTION_COLUMNS,
}
DTYPES = {column.name: column.dtype for columns in TABLES.values() for column in columns}  # for pandas.read_csv


def columns_of(*names: str) -> tuple[Column, ...]:
    """Columns by their names, as any table has them."""
    known = {column.name: column for columns in TABLES.values() for column in columns}
    return tuple(known[name] for name in names)
