"""The finding: sentences that are true to the tables, shown first wherever a report is shown."""

import io
import re

import pandas as pd
import pytest
from rich.console import Console

from nexus_bench.analysis.compare_models import Declaration
from nexus_bench.analysis.declared import Declared, DeclaredComparison
from nexus_bench.io.read_results import read_results
from nexus_bench.report import terminal as printed
from nexus_bench.report.build import Report, build_report
from nexus_bench.report.charts import figures
from nexus_bench.report.charts.plotting import Picture, RenderedFigure
from nexus_bench.report.output import to_document, to_markdown
from nexus_bench.report.page.report_page import to_html
from nexus_bench.report.words import finding as told_by
from tests.made import curve, table
from tests.paths import EXAMPLES

Reaches = dict[str, list[int | None]]  # model -> how far each seed comes; None failed


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding is made of tables alone."""
    for name in ("accuracy_by_hop", "order_by_hop", "reach_by_order", "reach_by_cost", "learning_curves"):
        monkeypatch.setattr(
            figures, name, lambda *_, **__: Picture("drawn", "", lambda: RenderedFigure(b"", "<svg></svg>"))
        )


def reaching(models: Reaches, *, hops: tuple[int, ...] = (1, 2, 3, 4), trained: str = "1-4") -> pd.DataFrame:
    """Results in which every seed comes as far as is said."""
    results = table(
        *(
            (model, 0.1, seed, {hop: None if reach is None else 1.0 if hop <= reach else 0.1 for hop in hops})
            for model, reaches in models.items()
            for seed, reach in enumerate(reaches)
        )
    )
    order = results["model"].str.extract(r"order (\d+)")[0].fillna("1").astype("Int64")
    return results.assign(order=order, train_hops=trained)


def finding_of(results: pd.DataFrame, *asked: tuple[str, str], curves: pd.DataFrame | None = None) -> list[str]:
    declared = Declared(tuple(DeclaredComparison(*pair) for pair in asked), equal_size=False)
    curves = curve(results).iloc[:0] if curves is None else curves
    return build_report(results, curves, [Declaration(declared, frozenset(results["cell_id"]))]).finding


def staircase(n_seeds: int = 3, **further: list[int | None]) -> Reaches:
    models: Reaches = {"standard": [1] * n_seeds, "nexus, order 2": [2] * n_seeds, "nexus, order 3": [3] * n_seeds}
    return models | {f"nexus, {name.replace('_', ' ')}": reaches for name, reaches in further.items()}


RULE = "Order m reached m hops (3 of 3 seeds each): nexus, orders 2 and 3; standard attention 1."


def test_orders_that_follow_the_rule_are_one_sentence_with_the_baseline_beside_them() -> None:
    assert finding_of(reaching(staircase())) == [
        RULE,
        "Not decided: whether any model reaches further than another beyond chance: no comparison was declared before "
        "training, and 3 seeds are too few (1 comparison needs 6 seeds).",
    ]
    four = finding_of(reaching(staircase(order_4=[4, 4, 4])))
    assert four[0] == RULE.replace("orders 2 and 3", "orders 2 to 4")
    assert four[-1] == "Not decided: how far nexus, order 4 can go beyond 4 hops: more were not asked."


@pytest.mark.parametrize(
    ("model", "reaches", "said"),
    [
        ("nexus, order 3", [3, 3, 2], "With nexus, order 2 reached 2 hops (3 of 3 seeds); order 3 reached 2 hops on 3 "
         "of 3 seeds, 3 on 2 of 3; standard attention reached 1 hop (3 of 3 seeds)."),
        ("nexus, order 3", [3, 4, 3], "With nexus, order m reached m hops or more (3 of 3 seeds each): more on 1 of 3 "
         "at order 3; standard attention reached 1 hop (3 of 3 seeds)."),
        ("nexus, order 3", [2, 2, 2], "With nexus, orders 2 and 3 reached 2 hops (3 of 3 seeds each); standard "
         "attention reached 1 hop (3 of 3 seeds)."),
        ("nexus, order 3", [0, 0, 0], "With nexus, order 2 reached 2 hops (3 of 3 seeds); order 3 reached no hop (0 of "
         "3 seeds); standard attention reached 1 hop (3 of 3 seeds)."),
        ("standard", [1, 2, 1], RULE.replace("attention 1", "attention reached 1 hop on 3 of 3 seeds, 2 on 1 of 3")),
        ("standard", [0, 0, 0], RULE.replace("attention 1", "attention reached no hop (0 of 3 seeds)")),
        ("nexus, order 3", [3, 3, None], RULE.replace("3 of 3 seeds each", "on every seed, 2 to 3 each").replace(
            "attention 1", "attention reached 1 hop (3 of 3 seeds)")),
    ],
)  # fmt: skip
def test_a_seed_that_breaks_the_rule_changes_the_sentence(model: str, reaches: list[int | None], said: str) -> None:
    assert finding_of(reaching(staircase() | {model: reaches}))[0] == said


def test_models_that_differ_in_more_than_order_are_told_apart() -> None:
    few = finding_of(reaching(staircase() | {"tree": [2, 2, 3], "linear": [1, 1, 1]}))
    assert few[1] == "Other models reached: tree 2 hops on 3 of 3 seeds, 3 on 1 of 3; linear 1 hop (3 of 3 seeds)."
    many: Reaches = {name: [2, 2, 2] for name in "abcd"} | {"e": [1, 4, 4], "f": [4, 1, 1]}
    told = finding_of(reaching(staircase() | many))[1]
    assert told == (
        "The most that any of 6 other models reached on every seed was 2 hops (4 models); on any seed, 4 hops: e on 2 "
        "of 3 seeds; f on 1 of 3 seeds."
    )
    own = finding_of(reaching(staircase() | {"two_hop": [3, 3, 3]}))
    assert own[:2] == ["Reached: two_hop 3 hops (3 of 3 seeds).", RULE], "what reaches most comes first"
    alone = finding_of(reaching({"linear": [1, 2], "tree": [2, 2]}))[0]
    assert alone == "Reached: linear 1 hop on 2 of 2 seeds, 2 on 1 of 2; tree 2 hops (2 of 2 seeds)."


def test_all_that_came_equally_far_are_told_or_their_number() -> None:
    tied: Reaches = {name: [2, 2, 3] for name in "abcd"} | {"e": [2, 2, 2]}
    assert finding_of(reaching(staircase() | tied))[1] == (
        "The most that any of 5 other models reached on every seed was 2 hops (all of them); on any seed, 3 hops: a "
        "and b and c and d on 1 of 3 seeds each."
    )
    many = finding_of(reaching(staircase() | tied | {"f": [2, 3, 3], "g": [3, 2, 3]}))[1]
    assert many.endswith("on any seed, 3 hops: 6 models, 2 of them on 2 of 3 seeds each and none on more.")
    one = finding_of(reaching(staircase() | tied | {"f": [2, 3, 3]}))[1]
    assert one.endswith("on any seed, 3 hops: 5 models, 1 of them on 2 of 3 seeds and none on more.")
    none = finding_of(reaching(staircase() | {name: [0, 1, 0] for name in "abcde"}))[1]
    assert none.startswith(
        "Of 5 other models none reached a hop on every seed; on any seed, 1 hop: 5 models, 5 of them"
    )


def test_where_one_hop_was_not_asked_reaching_none_does_not_deny_it() -> None:
    from_2 = finding_of(reaching(staircase(), hops=(2, 3, 4), trained="2-4"))
    assert from_2[0] == RULE.replace(
        "attention 1", "attention reached none of the hops asked, from 2 on (0 of 3 seeds)"
    )
    assert from_2[-1] == (
        "Not decided: what models can do of fewer than 2 hops: that was not asked, and a hop reach of 0 says only that "
        "2 hops were not reached."
    )
    assert "fewer" not in " ".join(finding_of(reaching({"tree": [2, 3]}, hops=(2, 3, 4), trained="2-4")))
    never = finding_of(reaching({name: [0] for name in "abcde"}, hops=(2, 3), trained="2,3"))
    assert never[0] == "Of 5 models none reached 2 hops, the fewest asked, on every seed."


def test_declared_comparisons_say_what_they_show_and_what_they_do_not() -> None:
    results = reaching(staircase(7) | {"tree": [2] * 7})
    asked = [("nexus, order 2", "standard"), ("tree", "nexus, order 2"), ("nexus, order 2", "nexus, order 3")]
    told = finding_of(results, *asked)
    assert [told[0], *told[3:]] == [
        "Declared before training and shown, 2 of 3 comparisons: nexus, order 2 reaches further than standard; nexus, "
        "order 3 than nexus, order 2.",
        "Declared, but no difference shown, which does not make them equal, 1 of 3 comparisons: tree and nexus, "
        "order 2.",
    ]
    few = finding_of(reaching(staircase(4)), *asked[:1])
    assert few[1:] == [
        "Not decided, 1 of 1 comparison declared before training: 4 paired seeds are too few to tell any outcome from "
        "chance (1 declared comparison needs 6 seeds)."
    ]
    none = finding_of(results, ("nexus, order 2", "order 9"))
    assert "Not decided: 1 declared comparison without one model on each side in these results." in none


def test_what_is_open_is_said() -> None:
    results = reaching(staircase(7, order_3=[3, 3, 3, 3, 3, None, None]), trained="1-3")
    rising = curve(results[results["model"] == "nexus, order 2"]).replace({"step": {10: 18}})
    open_ = finding_of(results, curves=rising)[1:]
    assert open_ == [
        "Not decided: whether any model reaches further than another beyond chance: no comparison was declared before "
        "training, and 5 seeds are too few (1 comparison needs 6 seeds).",
        "Not decided: how far nexus, order 3 can go beyond 3 hops: hop 4 was asked, but not trained, and "
        "is not reached.",
        "Not decided: what longer training gives: validation was still rising on 7 of 7 seeds of nexus, order 2.",
        "Not decided: 2 cells that failed and are left out.",
    ]
    unmeasured = finding_of(reaching(staircase() | {"tree": [None, None]}))
    assert unmeasured[-1] == "Not decided: how far tree can go: no seed was measured."
    failed = reaching({"standard": [None, None]}).assign(partial_input=float("nan"))  # no ceiling is written of these
    assert finding_of(failed) == ["Nothing was trained: 2 cells failed; `nexus-bench status` says why."]


def test_nothing_is_claimed_from_the_hop_on_at_which_the_ceiling_allows_it() -> None:
    results = reaching(staircase())
    results["partial_input"] = results["partial_input"].mask(results["hop"] >= 3, 0.95)
    told = finding_of(results)
    assert told[0].startswith("With nexus, orders 2 and 3 reached 2 hops (3 of 3 seeds each)")
    assert "Not decided: hops 3, 4: the partial-input ceiling is 0.95 or more there, or not known." in told
    gap = reaching(staircase(order_4=[4, 4, 4])).assign(
        partial_input=lambda rows: rows["partial_input"].mask(rows["hop"] == 3, 0.95)
    )
    assert "4 hops" not in " ".join(finding_of(gap)), "beyond a hop without a claim there is none"
    results["partial_input"] = 0.95
    assert "the ceilings allow no claim" in finding_of(results)[0] and "3 of 3" not in " ".join(finding_of(results))


def test_what_is_open_beyond_the_furthest_hop_is_said_for_the_right_reason() -> None:
    capped = reaching(staircase())  # trained on 4 hops
    capped["partial_input"] = capped["partial_input"].mask(capped["hop"] >= 3, 0.95)
    who = "Not decided: how far nexus, order 2 and nexus, order 3 can go beyond 2 hops"
    assert finding_of(capped)[-1] == f"{who}: of more nothing can be claimed."
    beyond = finding_of(reaching(staircase(order_4=[3] * 3) | {"nexus, order 3": [4] * 3}, trained="1-3"))
    assert beyond[-2:] == [
        "Not decided: how far nexus, order 4 can go beyond 3 hops: hop 4 was asked, but not trained, and "
        "is not reached.",
        "Not decided: how far nexus, order 3 can go beyond 4 hops: more were neither trained nor asked.",
    ]
    two = finding_of(reaching(staircase(order_4=[2] * 3), trained="1-2"))
    assert two[-1].endswith("can go beyond 2 hops: hops 3, 4 were asked, but not trained, and are not reached.")
    untold = reaching(staircase(), trained="1-3")
    untold["partial_input"] = untold["partial_input"].mask(untold["hop"] >= 4, 0.95)
    assert finding_of(untold)[-1].endswith("order 3 can go beyond 3 hops: of more nothing can be claimed.")
    single = finding_of(reaching({"nexus, order 2": [1], "nexus, order 3": [1]}))
    assert single[0] == "With nexus, orders 2 and 3 reached 1 hop (1 of 1 seed each)."


def test_where_no_hop_allows_a_claim_none_is_made() -> None:
    results = reaching(staircase()).assign(partial_input=pd.NA)
    assert finding_of(results)[0] == (
        "No hop can count as reached, since the ceilings allow no claim; accuracies are below."
    )


def test_a_model_that_was_not_trained_is_no_baseline_of_those_that_were() -> None:
    results = reaching({"untouched": [0], **staircase()})
    trained = results.assign(steps_done=(results["model"] != "untouched").astype("Int64") * 9)
    told = finding_of(trained.assign(attention=trained["attention"].mask(trained["model"] == "untouched", "standard")))
    assert told[0] == RULE
    assert any("untouched no hop" in line for line in told[1:]), told


def test_answers_of_other_models_have_no_seeds() -> None:
    answers = table(("gpt", 0.1, 0, {1: 1.0, 2: 1.0, 3: 0.5})).query("split == 'test'")
    answers = answers.assign(status="scored", encoding="text", n_examples=20, n_correct=20)
    assert build_report(answers, curve(answers).iloc[:0]).finding[0] == "Reached: gpt 2 hops (one set of answers)."


def test_several_tasks_have_a_line_each_and_count_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    one = reaching(staircase(7))
    other = reaching(staircase(7) | {"nexus, order 3": [2] * 7}).assign(task="u", cell_id="u" + one["cell_id"])
    told = finding_of(pd.concat([one, other], ignore_index=True))
    assert told == [
        "t: order m reached m hops (7 of 7 seeds each): nexus, orders 2 and 3; standard attention 1.",
        "u: with nexus, orders 2 and 3 reached 2 hops (7 of 7 seeds each); standard attention reached 1 hop (7 of 7 "
        "seeds).",
        "Not decided: who reaches further in 2 of 2 settings, of which no comparison was declared before training.",
    ]
    monkeypatch.setattr(told_by, "_MOST_TASKS", 1)
    assert finding_of(pd.concat([one, other], ignore_index=True))[:2] == [told[0], "1 more task below."]


def test_settings_of_one_task_are_named_by_what_differs() -> None:
    one = reaching(staircase())
    longer = one.assign(steps=9, n_facts=24, vocab_size=72, cell_id="l" + one["cell_id"])
    flat = one.assign(encoding="flat", cell_id="f" + one["cell_id"])
    told = finding_of(pd.concat([one, longer, flat], ignore_index=True))
    assert [line.partition(": ")[0] for line in told[:3]] == [
        "t, fact encoding, 12 facts", "t, fact encoding, 24 facts", "t, flat encoding, 12 facts"
    ]  # fmt: skip
    more = [one.assign(n_facts=12 + i, cell_id=f"{i}" + one["cell_id"]) for i in range(4)]
    assert finding_of(pd.concat(more, ignore_index=True))[3] == "t, 1 more setting below."


def report_of_staircase() -> Report:
    results = reaching(staircase())
    return build_report(results, curve(results))


def test_the_finding_is_shown_first_and_last_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    report = report_of_staircase()
    assert to_document(report)["finding"] == report.finding and report.finding[0] == RULE
    assert to_markdown(report, with_figures=False).startswith(f"# nexus-bench: s\n\n**{RULE}**\n\n- Not decided: ")
    page = to_html(report, downloads={})
    assert 0 < page.index(f"<p>{RULE}</p>") < page.index("<form") < page.index("<table")
    console = Console(width=200, file=io.StringIO(), soft_wrap=True)
    monkeypatch.setattr(printed, "output", lambda: console)
    printed.print_report(report, [EXAMPLES])
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[-2 - len(report.finding) :] == [*report.finding, "", str(EXAMPLES)]


def committed(name: str) -> list[str]:
    """The finding in the committed report.md, which another test holds to what the code makes."""
    head = (EXAMPLES / name / "report.md").read_text().partition("\n## ")[0]
    return [line.strip("*").removeprefix("- ") for line in head.splitlines()[2:] if line]


def counted_by_hand(name: str) -> dict[str, list[int]]:
    """Model -> how far each seed came, from results.csv by a loop of its own."""
    results = read_results(EXAMPLES / name)
    rows = results[results["split"].isin(["test", "hop_ood"]) & (results["purpose"] != "tuning").fillna(True)]
    reaches: dict[str, list[int]] = {}
    for (model, _), cell in rows.groupby(["model", "cell_id"], sort=False):
        reach = 0
        for hop, accuracy in sorted(zip(cell["hop"], cell["accuracy"], strict=True)):
            if accuracy < 0.95:
                break
            reach = int(hop)
        reaches.setdefault(str(model).replace(", d_model 128, n_heads 4", ""), []).append(reach)
    return reaches


def test_the_findings_of_the_examples_are_true_to_their_results() -> None:
    reaches = counted_by_hand("staircase")
    for order in (2, 3, 4):
        assert reaches[f"nexus, order {order}, refine q"] == [order] * 10
        assert min(reaches[f"nexus, order {order}, refine qk"]) == order
    assert reaches["standard"] == [1] * 10
    more = {order: sum(reach > order for reach in reaches[f"nexus, order {order}, refine qk"]) for order in (2, 3, 4)}
    told = committed("staircase")
    assert told[0].startswith(
        "Declared before training and shown, 3 of 6 comparisons: nexus, order 2, refine q reaches"
    )
    assert told[1:3] == [
        "Order m reached m hops (10 of 10 seeds each): nexus, refine q, orders 2 to 4; standard attention 1.",
        "With nexus, refine qk, order m reached m hops or more (10 of 10 seeds each): more on "
        f"{more[2]} of 10 at order 2, {more[3]} of 10 at order 3, {more[4]} of 10 at order 4.",
    ]
    reaches = counted_by_hand("matched")
    others = {model: seeds for model, seeds in reaches.items() if "nexus" not in model and model != "standard"}
    counts = {model: seeds.count(3) for model, seeds in others.items() if max(seeds) == 3}
    alike = [[model for model in counts if counts[model] == n] for n in sorted(set(counts.values()), reverse=True)]
    told = committed("matched")
    assert (
        len(counts) < len(others)
        and max(map(max, others.values())) == 3
        and told[2]
        == (
            f"The most that any of {len(others)} other models reached on every seed was 2 hops "
            f"({sum(min(seeds) == 2 for seeds in others.values())} models); on any seed, 3 hops: "
            + "; ".join(
                f"{' and '.join(models)} on {counts[models[0]]} of 12 seeds{' each' if len(models) > 1 else ''}"
                for models in alike
            )
            + "."
        )
    )
    assert max(min(seeds) for seeds in others.values()) == 2
    assert re.search(r"shown, 7 of 11 comparisons: nexus, order 2, refine qk reaches further than standard;", told[0])


def test_that_nothing_was_learned_is_said_with_what_to_try() -> None:
    said = "Not decided: what these models can do: none learned a hop; try more steps, another lr, or smaller graphs."
    assert said in finding_of(reaching({"standard": [0, 0], "nexus, order 2": [0, 0]}))
    assert said not in finding_of(reaching({"standard": [0, 0], "nexus, order 2": [0, 1]}))


@pytest.mark.parametrize(
    ("standard", "second", "third", "who"),
    [
        ([1, 1], [2, 2], [1, 1], "order 3"),
        ([1, 1], [2, 2], [2, 1], "order 3"),
        ([1, 1], [0, 2], [1, 0], "order 3"),
        ([2, 2], [0, 2], [1, 0], "orders 2 and 3"),
        ([1, 1, 1], [2, 2, 2], [3, 3, 1], ""),
        ([1, 1], [2, 2], [2, 2], ""),
        ([1, 1], [2, 1], [1, 2], ""),
    ],
)
def test_an_order_that_came_less_far_than_a_lower_one_may_not_have_learned(
    standard: list[int | None], second: list[int | None], third: list[int | None], who: str
) -> None:
    found = finding_of(reaching({"standard": standard, "nexus, order 2": second, "nexus, order 3": third}))
    said = [line for line in found if "a lower order reached more" in line]
    assert len(said) == bool(who) and all(f"{who} can do" in line for line in said)
