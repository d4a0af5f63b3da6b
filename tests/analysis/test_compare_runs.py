"""A run beside the one before it: what counts as worse, what as noise, and what is told."""

import math

import pandas as pd
import pytest

from nexus_bench.analysis.compare_runs import NEW_ONLY, OK, Compared, compare_results
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.jobs import CellSpec
from nexus_bench.experiment.result_rows import failed_result
from nexus_bench.model.spec import make_model
from nexus_bench.report.compare import failures
from nexus_bench.report.comparison_text import conclusion, markdown, names
from nexus_bench.training.spec import TrainSpec
from tests.made import at, results_of

By = dict[int, float | None]


def gate(base: pd.DataFrame, new: pd.DataFrame, *, metric: str = "accuracy", max_drop: float = 0.02) -> list[Compared]:
    return compare_results(base, new, metric=metric, max_drop=max_drop)


def one(base: list[By], new: list[By], *, n_examples: int = 1000, metric: str = "accuracy") -> Compared:
    """The only comparison of a model in both runs."""
    (found,) = gate(
        results_of({"a": base}, n_examples=n_examples), results_of({"a": new}, n_examples=n_examples), metric=metric
    )
    return found


def test_no_drop_at_all_is_ok() -> None:
    found = one(at(0.7, 0.8, 0.9), at(0.7, 0.8, 0.9))
    assert found.verdict == "ok" and found.note == ""
    assert found.difference == (0, 0, 0)
    assert (found.base, found.new) == pytest.approx((0.8, 0.8))


def test_an_equal_drop_in_every_seed_is_a_regression() -> None:
    found = one(at(1.0, 1.0, 1.0), at(0.5, 0.5, 0.5))
    assert found.verdict == "regression"
    assert found.difference == (-0.5, -0.5, -0.5)
    assert (found.base_seeds, found.new_seeds, found.n_seeds) == ([1, 1, 1], [0.5, 0.5, 0.5], 3)


def test_one_of_three_seeds_that_collapses_is_within_noise() -> None:
    found = one(at(1.0, 1.0, 1.0), at(1.0, 1.0, 0.1))
    assert found.verdict == "within noise"
    # sd 0.9 / sqrt(3), so the half width is 4.3027 * 0.3; -1.59 is no difference of accuracies
    assert found.difference == pytest.approx((-0.3, -1.0, 0.9908), abs=1e-4)


def test_a_drop_of_just_what_is_allowed_is_ok() -> None:
    assert one(at(1.0, 1.0), at(0.98, 0.98)).verdict == "ok"
    assert one(at(1.0, 1.0), at(0.979, 0.979)).verdict == "regression"


def test_a_rise_is_an_improvement_only_beyond_noise() -> None:
    assert one(at(0.5, 0.5, 0.5), at(0.9, 0.8, 0.85)).verdict == "improvement"
    assert one(at(0.5, 0.5, 0.5), at(0.5, 0.5, 1.0)).verdict == "ok"
    assert one(at(0.5, 0.5, 0.5), at(0.52, 0.52, 0.52)).verdict == "ok"


def test_seeds_that_fall_unevenly_but_all_far_are_a_regression() -> None:
    found = one(at(0.999, 0.998, 0.999), at(0.6, 0.7, 0.65))
    assert found.verdict == "regression"
    assert found.difference == pytest.approx((-0.348667, -0.474118, -0.223216), abs=1e-5)  # 4.30265 * 0.0505 / sqrt(3)


def test_a_higher_confidence_asks_for_more() -> None:
    base, new = results_of({"a": at(0.9, 0.9, 0.9)}), results_of({"a": at(0.87, 0.85, 0.86)})
    (alone,) = gate(base, new)
    assert alone.verdict == "regression" and alone.level == 0.95
    assert alone.difference == pytest.approx((-0.04, -0.04 - 4.30265 * 0.01 / math.sqrt(3), -0.015159), abs=1e-5)
    (sure,) = compare_results(base, new, metric="accuracy", max_drop=0.02, confidence=0.99)
    assert sure.verdict == "within noise" and sure.level == 0.99
    assert sure.difference.high == pytest.approx(-0.04 + 9.92484 * 0.01 / math.sqrt(3), abs=1e-5)


def test_other_comparisons_of_a_table_change_no_verdict() -> None:
    steady = {hop: 0.5 for hop in (2, 3, 4, 5)}
    before, after = ([{1: x} | steady for x in seeds] for seeds in ([0.9, 0.9, 0.9], [0.87, 0.85, 0.86]))
    assert [found.verdict for found in gate(results_of({"a": before}), results_of({"a": after}))] == [
        "regression",
        *["ok"] * 4,
    ]


def test_strict_misses_what_the_new_run_lacks() -> None:
    base, new = results_of({"a": at(0.9, 0.9), "b": at(0.9, 0.9)}), results_of({"a": at(0.9)})
    found = compare_results(base, new, metric="accuracy", max_drop=0.02, strict=True)
    assert [(each.verdict, each.note) for each in found] == [
        (
            "missing",
            "the new run has no seed 1; one seed: the interval covers the noise of examples, not that of training",
        ),
        ("missing", "the new run has no such cell"),
    ]
    assert [name for name, _ in failures(found, strict=True)] == ["t, a, hop 1", "t, b, hop 1"]
    assert failures(found) == []


def test_one_seed_is_judged_by_the_noise_of_its_examples() -> None:
    found = one(at(0.9), at(0.85))
    assert found.verdict == "regression"
    assert found.difference[1:] == pytest.approx((-0.0790, -0.0210), abs=1e-4)  # Newcombe
    assert found.note == "one seed: the interval covers the noise of examples, not that of training"
    assert one(at(0.9), at(0.85), n_examples=100).verdict == "within noise"


def test_one_seed_without_counts_or_of_reach_has_no_interval_and_any_drop_counts() -> None:
    note = "one seed: no interval, so any drop beyond the allowed one counts"
    reached = one([{1: 1.0, 2: 1.0, 3: 1.0}], [{1: 1.0, 2: 1.0, 3: 0.9}], metric="reach")
    assert (reached.verdict, reached.note, reached.hop) == ("regression", note, None)
    assert reached.difference.mean == -1 and math.isnan(reached.difference.high) and math.isnan(reached.level)
    assert one([{1: 1.0, 2: 1.0}], [{1: 0.95, 2: 1.0}], metric="reach").verdict == "ok"
    base, new = (results_of({"a": at(accuracy)}).assign(n_correct=pd.NA) for accuracy in (0.9, 0.87))
    assert [(found.verdict, found.note) for found in gate(base, new)] == [("regression", note)]


def test_reach_is_compared_over_seeds() -> None:
    three, two = {1: 1.0, 2: 1.0, 3: 1.0}, {1: 1.0, 2: 1.0, 3: 0.94}
    fell = one([three, three, three], [three, two, three], metric="reach")
    assert fell.verdict == "within noise"
    assert fell.difference == pytest.approx((-1 / 3, -1.7676, 1.1009), abs=1e-4)
    assert one([three] * 3, [two] * 3, metric="reach").verdict == "regression"
    assert one([two] * 3, [three] * 3, metric="reach").verdict == "improvement"
    wide = one([three, {1: 0.0, 2: 0, 3: 0}], [{1: 0.0, 2: 0, 3: 0}, three], metric="reach")
    assert wide.difference == (0, -3, 3), "no difference of reach is beyond the largest hop"


def test_reach_is_taken_over_the_hops_that_both_have() -> None:
    found = one([{1: 1.0, 2: 1.0}] * 2, [{1: 1.0, 2: 1.0, 3: 1.0}] * 2, metric="reach")
    assert (found.new, found.verdict) == (2, "ok")
    parted = gate(
        results_of({"a": [{1: 1.0}], "b": at(1.0)}), results_of({"a": [{2: 1.0}], "b": at(1.0)}), metric="reach"
    )
    assert [found.verdict for found in parted] == ["missing", "ok"]


def test_a_cell_that_failed_in_the_new_run_fails_the_gate() -> None:
    found = one(at(0.9, 0.8, 0.7), at(0.9, None, None))
    assert (found.verdict, found.note.split(";")[0]) == ("failed", "failed at seed 1, 2")
    assert (found.base_seeds, found.new_seeds) == ([0.9], [0.9])
    none = one(at(0.9, 0.8), at(None, None))
    assert (none.verdict, none.n_seeds, none.base) == ("failed", 0, pytest.approx(0.85))
    assert math.isnan(none.new) and math.isnan(none.difference.mean)
    assert one([{1: 1.0, 2: 1.0}], [{1: None, 2: None}], metric="reach").verdict == "failed"


def test_a_cell_that_failed_in_the_base_as_well_fails_nothing() -> None:
    found = one(at(0.9, None, 0.9), at(0.9, None, 0.9))
    assert (found.verdict, found.n_seeds, found.note) == ("ok", 2, "failed in both runs at seed 1")
    better = one(at(None, 0.9, 0.9), at(0.9, 0.9, 0.9))
    assert (better.verdict, better.n_seeds, better.note) == ("ok", 2, "failed in the base at seed 0")
    said = "2 comparisons without seeds that failed in the base"
    assert said in conclusion([found, better], max_drop=0.02, confidence=0.95)
    recovered, failed_twice, _ = gate(
        results_of({"a": at(None), "b": at(None), "c": at(0.5)}),
        results_of({"a": at(0.9), "b": at(None), "c": at(0.5)}),
    )
    assert (recovered.verdict, recovered.note) == ("new only", "failed in the base")
    assert (failed_twice.verdict, failed_twice.note) == ("missing", "measured in neither run")


def test_what_is_missing_or_new_is_noted_and_fails_nothing() -> None:
    base, new = (
        results_of({"a": at(0.9), "b": at(0.8), "c": [{}, {1: 0.7}]}),
        results_of({"b": at(0.8), "d": at(0.1), "c": at(0.7)}),
    )
    found = gate(base, new)
    assert [(f.cell["model"], f.verdict, f.note) for f in found] == [
        ("a", "missing", "the new run has no such cell"),
        ("b", "ok", "one seed: the interval covers the noise of examples, not that of training"),
        ("c", "missing", "no seed of the base is in the new run"),
        ("d", "new only", "the base has no such cell"),
    ]
    assert (found[0].base_seeds, found[0].new_seeds) == ([0.9], [])
    assert found[1].level == 0.95 and math.isnan(found[0].level)


def test_only_seeds_that_both_have_are_paired() -> None:
    found = one(at(0.9, 0.8, 0.2), at(0.9, 0.8))
    assert (found.verdict, found.base_seeds, found.note) == ("ok", [0.9, 0.8], "the new run has no seed 2")
    shuffled = results_of({"a": at(0.9, 0.5)}).iloc[::-1]
    (paired,) = gate(results_of({"a": at(0.9, 0.5)}), shuffled)
    assert paired.difference == (0, 0, 0), "by seed, not by place"


def test_versions_mode_suite_and_run_id_may_differ() -> None:
    base = results_of({"a": at(0.9, 0.9)})
    others = {"version": "9.9", "attention_version": 9, "mode": "tf32", "suite": "other", "cell_id": "x", "d_model": 8}
    (found,) = gate(base, base.assign(**others))
    assert (found.verdict, found.n_seeds) == ("ok", 2)


def test_a_file_from_before_curricula_matches_one_that_says_none() -> None:
    base = results_of({"a": at(0.9)})
    (found,) = gate(base.assign(curriculum=pd.array([pd.NA] * len(base), dtype="string")), base)
    assert found.n_seeds == 1 and found.cell["curriculum"] == "none"
    with pytest.raises(ConfigError, match="curriculum none in the base, curriculum staged in the new run"):
        gate(base, base.assign(curriculum="staged"))


def test_recipes_are_told_apart_and_named_where_they_differ() -> None:
    both = pd.concat([results_of({"a": at(0.9)}, lr=lr) for lr in (0.1, 0.2)])
    found = gate(both, both)
    assert names(found) == ["t, a, lr 0.1, hop 1", "t, a, lr 0.2, hop 1"]
    assert names(found[:1]) == ["t, a, hop 1"] and names(found[:1], with_task=False) == ["a, hop 1"]


def test_the_worst_comes_first_and_what_failed_to_train_last() -> None:
    base = results_of({"a": at(0.9, 0.9), "b": at(0.9, 0.9), "c": at(0.9, 0.9), "d": at(0.9, 0.9)})
    new = results_of({"a": at(None, 0.1), "b": at(0.8, 0.8), "c": at(0.9, 0.9), "d": at(0.5, 0.5)})
    assert [name for name, _ in failures(gate(base, new))] == ["t, d, hop 1", "t, b, hop 1", "t, a, hop 1"]


def test_markdown_tables_hold_names_with_bars_and_leave_out_what_is_new() -> None:
    found = gate(results_of({"a|b": at(0.9)}), results_of({"a|b": at(0.9), "fresh": at(0.5)}))
    table_lines = [line for line in markdown(found, [], [], "runs").splitlines() if line.startswith("| ")]
    assert len(table_lines) == 3 and table_lines[2].startswith("| t, a\\|b, hop 1 | 0.900 | 0.900 | +0.000 |")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "u"}, "task t in the base, task u in the new run"),
        ({"task_version": 2}, "task_version 1 in the base, task_version 2 in the new run"),
        ({"n_facts": 5}, "n_facts 12 in the base, n_facts 5 in the new run"),
        ({"model": "z"}, "model a, b in the base, model z in the new run"),
        ({"lr": 0.5}, "lr 0.1 in the base, lr 0.5 in the new run"),
        ({"seed": 7}, "seed 0 in the base, seed 7 in the new run"),
        ({"hop": 7}, "hop 1 in the base, hop 7 in the new run"),
    ],
)
def test_runs_that_share_no_cells_are_told_the_first_column_that_differs(
    change: dict[str, object], message: str
) -> None:
    base = results_of({"a": at(0.9), "b": at(0.9)})
    new = base.assign(**change)
    with pytest.raises(ConfigError, match=f"^the runs share no cells of test: {message}; compare runs of the same"):
        gate(base, new if "model" not in change else new.iloc[:2])


def test_columns_that_only_differ_together_are_seen_as_well() -> None:
    base = pd.concat([results_of({"a": at(0.9)}), results_of({"b": at(0.9)}).assign(task="u")])
    new = pd.concat([results_of({"b": at(0.9)}), results_of({"a": at(0.9)}).assign(task="u")])
    with pytest.raises(ConfigError, match="model a, b in the base, model b, a in the new run"):
        gate(base, new)


def test_many_names_are_cut_short() -> None:
    many = results_of({f"m{i}": at(0.9) for i in range(8)})
    with pytest.raises(ConfigError, match="model m0, m1, m2, m3, m4 and 3 more in the base, model a in"):
        gate(many, results_of({"a": at(0.9)}))


def test_a_base_that_failed_everywhere_is_no_base() -> None:
    with pytest.raises(ConfigError, match="every cell that both runs have failed in the base; train the base again"):
        gate(results_of({"a": at(None)}), results_of({"a": at(0.9)}))


def test_an_unknown_split_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match="the base has no rows of split 'tset'; it has val, test"):
        compare_results(
            results_of({"a": at(0.9)}), results_of({"a": at(0.9)}), metric="accuracy", max_drop=0.02, split="tset"
        )


def test_cells_that_the_columns_do_not_tell_apart_are_refused() -> None:
    base = results_of({"a": at(0.9)})
    with pytest.raises(ConfigError, match="the new run has several cells of t, a, seed 0, which the columns"):
        gate(base, pd.concat([base, base.assign(cell_id="other")]))


def test_a_failed_cell_matches_its_base_on_every_split() -> None:
    entry = {"task": "pointer_chase", "hops": [1, 2], "n_nodes": 6, "vocab_size": 30, "n_queries": 6}
    task = make_task(entry | {"size_ood": {"n_nodes": 11}}, where="test")
    model = make_model({"attention": "standard"}, where="test")
    rows = failed_result(CellSpec(task=task, model=model, train=TrainSpec(), seed=0), "single").rows
    assert {(row["split"], row["n_facts"]) for row in rows} == {("val", 6), ("test", 6), ("size_ood", 11)}


def test_a_run_of_another_task_shares_no_cell_and_only_what_differs_is_named() -> None:
    base = results_of({"a": at(0.9)}).assign(task_options="n_keys=4; n_repeats=1; n_test=8")
    new = base.assign(task_options="n_keys=4; n_repeats=4; n_test=8")
    said = "no cells of test: task_options: n_repeats=1 in the base, n_repeats=4 in the new run; compare runs"
    with pytest.raises(ConfigError, match=said):
        gate(base, new)
    two = pd.concat([base.assign(task_options="n_keys=5; n_repeats=9; n_test=8"), base])
    with pytest.raises(ConfigError, match=said):
        gate(two, new)


@pytest.mark.parametrize(
    "column", ["task_options", "recipe_options", "attention_options", "model_options", "mlp_ratio", "reuse"]
)
def test_cells_of_other_values_are_not_paired(column: str) -> None:
    value, other = (1, 2) if column in ("mlp_ratio", "reuse") else ("x=1", "x=2")
    base = results_of({"a": at(0.9)}).assign(**{column: value})
    new = pd.concat([base, base.assign(**{column: other}, accuracy=0.1, n_correct=100)])
    assert [one.verdict for one in gate(base, new)] == [OK, NEW_ONLY]


def test_options_that_vary_are_in_the_names_of_comparisons() -> None:
    base = results_of({"a": at(0.9)}).assign(task_options="n=1; side=left")
    both = pd.concat([base, base.assign(task_options="n=2; side=left")])
    assert names(gate(both, both)) == ["t, a, n=1, hop 1", "t, a, n=2, hop 1"]
