"""The columns of the tables in a run folder."""

from typing import NamedTuple


class Column(NamedTuple):
    """A column of results.csv; columns are only ever added, at the end."""

    name: str
    dtype: str
    meaning: str


COLUMNS = (
    Column("run_id", "string", "the cell: a hash of task, model, recipe, seed and versions"),
    Column("suite", "string", "the suite it was run in"),
    Column("task", "string", "task family"),
    Column("task_version", "Int64", "version of the family's definition"),
    Column("encoding", "string", "`fact`: a fact is one position; `flat`: each symbol is one token; `text`: English"),
    Column("train_hops", "string", "hops in training"),
    Column("n_facts", "Int64", "facts a graph"),
    Column("n_symbols", "Int64", "names to draw from"),
    Column("distractors", "string", "kind of facts off the path"),
    Column("attention", "string", "attention mechanism; `external` for answers from elsewhere"),
    Column("attention_version", "Int64", "version of the mechanism's definition"),
    Column("order", "Int64", "attention order m; 1 for mechanisms that do not nest"),
    Column("inner", "string", "Nexus: what the inner attention yields"),
    Column("combine", "string", "Nexus: how the inner output meets the input"),
    Column("refine", "string", "Nexus: which side is made from the inner output"),
    Column("share", "string", "Nexus: whether levels share weights"),
    Column("position", "string", "position embedding"),
    Column("mask", "string", "`facts`: only facts are attended to; `causal`: earlier positions"),
    Column("n_layers", "Int64", "blocks with weights of their own"),
    Column("n_loops", "Int64", "times the blocks are applied"),
    Column("d_model", "Int64", "width"),
    Column("n_heads", "Int64", "attention heads"),
    Column("lr", "Float64", "peak learning rate"),
    Column("batch_size", "Int64", "graphs a step"),
    Column("n_queries", "Int64", "labelled queries a graph"),
    Column("steps", "Int64", "optimiser steps allowed"),
    Column("mode", "string", "`single`: one model at a time; `deterministic`, `tf32`, `bfloat16`: stacked"),
    Column("seed", "Int64", "of the data, the weights and the order of both"),
    Column("split", "string", "`val`, `test`, `hop_ood`, `size_ood` or `pattern_ood`"),
    Column("hop", "Int64", "true hop count of these examples"),
    Column("n_examples", "Int64", "examples scored"),
    Column("n_correct", "Int64", "answered right"),
    Column("accuracy", "Float64", "n_correct / n_examples"),
    Column("chance", "Float64", "best guess that follows no fact"),
    Column("shortcut", "Float64", "accuracy of the best guess that follows no fact, on the same examples"),
    Column("shortcut_name", "string", "that guess"),
    Column("partial", "Float64", "what can be guessed with one fact of the derivation hidden, as the family declares"),
    Column("loss", "Float64", "mean cross-entropy, nats"),
    Column("steps_to_95", "Int64", "first evaluated step from which validation stays at 0.95 or more; empty if never"),
    Column("n_params", "Int64", "trained parameters"),
    Column("flops_per_step", "Int64", "floating-point operations of the matrix products of a training step"),
    Column(
        "status",
        "string",
        "`trained`: all steps; `solved`: stopped early, validation solved; `failed`; `scored`: from elsewhere",
    ),
    Column("version", "string", "of nexus-bench"),
    Column("steps_done", "Int64", "optimiser steps made"),
    Column("model", "string", "the model in words"),
    Column("curriculum", "string", "over the hops: `none`, `staged`, `adaptive`"),
)
YOUNGER = {"curriculum"}  # columns that files of earlier versions lack
CURVE_COLUMNS = ("run_id", "model", "seed", "step", "hop", "accuracy", "loss")
TIMING_COLUMNS = ("run_id", "model", "seed", "device", "train_seconds", "steps_per_second")
