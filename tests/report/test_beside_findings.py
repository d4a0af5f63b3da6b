"""The explorations beside the reference study show what their page says."""

import re

from nexus_bench.analysis.summary import reaches_of
from nexus_bench.report.output import read_report
from tests.beside import (
    BESIDE,
    FLAT,
    TEXT,
    WIDE,
    at,
    beside,
    choices,
    measured,
    models,
    one,
    page_says,
    reach,
    reaches,
    studied,
)
from tests.paths import ROOT


def test_what_the_page_says_of_a_fourth_pass_and_of_other_readings() -> None:
    pointer, ancestor, kinship = (beside("reference-wide", task) for task in WIDE)
    for reading in ("", ", compare mirrored"):
        third = [reaches(studied(task), f"nexus, order 3{reading}") for task in WIDE]
        fourth = [reaches(rows, f"nexus, order 4{reading}") for rows in (pointer, ancestor, kinship)]
        more = [sum(new) / len(new) - sum(old) / len(old) for new, old in zip(fourth, third, strict=True)]
        assert more[0] == 0.75 and more[1] < 0 and (reading == "" or more[2] == 0)
    fourth_reach = [reach(pointer, f"nexus, order 4{reading}") for reading in ("", ", compare mirrored")]
    assert f"0.75 hops more than order 3 in either reading ({', mirrored '.join(fourth_reach)})" in TEXT
    four = reach(pointer, "standard, n_layers 4")
    assert f"make {four} hops of `pointer_chase`" in TEXT
    assert float(four) < float(reach(studied(WIDE[0]), "standard, n_layers 3"))
    loops = "standard, n_loops 4, inject"
    assert [set(reaches(pointer, loops)), set(reaches(ancestor, loops))] == [{5}, {4}]
    assert sorted(reaches(kinship, loops)) == [0, 0, 0, 1]
    page_says("On `pointer_chase` order 4 makes 0.75")
    page_says(
        "four loops make all 5 on every seed. On `ancestor` order 4 is behind order 3 in either reading, and "
        "four loops make all 4. On `kinship` order 4 learns nothing, mirrored it is where order 3 is, and one seed of "
        "four loops comes to 1 hop."
    )
    for order in (2, 3):
        own = [reaches(rows, f"nexus, order {order}, compare self") for rows in (pointer, ancestor, kinship)]
        assert own == [[order] * 4, [2] * 4, [2] * 4]
        valued = f"nexus, order {order}, mix last, refine qkv"
        for rows, task in ((pointer, WIDE[0]), (ancestor, WIDE[1])):
            nests = [(of, name) for of in (rows, studied(task)) for name in models([of]) if f"order {order}" in name]
            assert max(nests, key=lambda nest: float(reach(*nest)))[1] == valued
    page_says(
        "exactly m hops on every seed of `pointer_chase`, 2 of `ancestor` at either order, and 2 of `kinship` on all 8 "
        "seeds. No model of the study makes these 2 on more than 5 of 12"
    )
    counts = [sum(hops >= 2 for hops in reaches(studied("kinship"), model)) for model in models([studied("kinship")])]
    assert f"on more than {max(counts)} of 12 seeds" in TEXT
    for run in (ROOT / "runs" / "recipes").glob("kinship-*"):
        assert reaches_of(measured(run), ["name", "lr", "seed"]).groupby(["name", "lr"]).min().max() < 2
    control = measured(ROOT / "runs" / "recipes" / "pointer_chase-adaptive").query("lr == 1e-3")
    assert (
        reaches(control, "standard, n_layers 4") == [5, 5]
        and choices("reference-wide")[WIDE[0], "standard, n_layers 4"] == 1e-3
    )
    page_says("made all 5 on both of their seeds, by the same recipe at the same rate: seeds of so deep a model differ")
    page_says("and 4 of them say little.")
    assert set(reaches(ancestor, "nexus, order 2, mix last, refine qkv")) == {3}
    page_says("Order 2 makes 3 hops of `ancestor` on every seed, and order 3 as many as")
    page_says("On `kinship` order 3 learns nothing. - **Loops")
    share = one(ancestor, "nexus, order 3, mix last, refine qkv", "flops_per_step") / one(
        studied("ancestor"), "standard, n_loops 3, inject", "flops_per_step"
    )
    said = reach(ancestor, "nexus, order 3, mix last, refine qkv")
    assert said == reach(studied("ancestor"), "standard, n_loops 3, inject")
    assert f"order 3 as many as three loops of its width ({said}), at {share:.0%} of their operations" in TEXT


def test_what_the_page_says_of_layers_and_loops_of_the_size_of_a_nest() -> None:
    told: dict[str, list[str]] = {}
    parameters, ratios, behind = [], [], []
    for task in WIDE:
        rows, study = beside("reference-wide", task), studied(task)
        for order, kind in ((2, "two"), (3, "three")):
            nest = f"nexus, order {order}"
            operations = one(study, nest, "flops_per_step")
            told.setdefault(nest, []).append(reach(study, nest))
            ratios.append(one(study, f"standard, n_loops {order}, inject", "flops_per_step") / operations)
            narrow = {
                of: [name for name in models([rows]) if re.fullmatch(rf"standard, n_{of} {order}.*, d_model \d+", name)]
                for of in ("layers", "loops")
            }
            near = {
                of: min(names, key=lambda name: abs(one(rows, name, "flops_per_step") - operations))
                for of, names in narrow.items()
            }
            size = one(study, nest, "n_params")
            same = min(narrow["layers"], key=lambda name: abs(one(rows, name, "n_params") - size))
            for what, name in ((f"{kind} loops", near["loops"]), (f"{kind} layers", near["layers"]), (kind, same)):
                told.setdefault(what, []).append(reach(rows, name))
            behind += [
                (float(reach(study, nest)) - float(told[what][-1]), task, kind) for what in (f"{kind} layers", kind)
            ]
            if kind == "three":
                parameters.append(one(rows, near["loops"], "n_params") / size)
    said = {what: ", ".join(values) for what, values in told.items()}
    assert (
        f"At the width at which they compute as order 3 does, three loops have {min(parameters):.0%} to "
        f"{max(parameters):.0%} of its parameters and reach "
        f"{said['three loops']} (order 3: {said['nexus, order 3']}); two loops reach {said['two loops']} (order 2: "
        f"{said['nexus, order 2']})."
    ) in TEXT
    assert f"compute {min(ratios):.1f} to {max(ratios):.1f} times as much" in TEXT
    assert (
        f"Two and three layers of equal compute reach {said['two layers']} and {said['three layers']}; of equal "
        f"parameters {said['two']} and {said['three']}."
    ) in TEXT
    far = {(f"{by:.2f}", task, kind) for by, task, kind in behind if abs(by) > 0.5}
    assert far == {("0.58", "ancestor", "three")} and "which are 0.58 behind" in TEXT
    smaller = measured(ROOT / "runs" / "example" / "matched")
    (loops,) = (name for name in models([smaller]) if "n_loops 3" in name and "d_model 40" in name)
    assert float(reach(smaller, "nexus, order 3")) > float(reach(smaller, loops))
    page_says("a smaller task with fewer steps, order 3 goes further than three loops of its compute:")


def test_what_the_page_says_of_width_heads_and_rivals() -> None:
    pointer, ancestor, kinship = (beside("reference-wide", task) for task in WIDE)
    wide = [name for name in models([pointer]) if "d_model 256" in name]
    assert len(wide) == 3 and all(set(reaches(ancestor, name)) == {1} for name in wide)
    for name in wide:
        assert float(reach(pointer, name)) >= float(reach(studied(WIDE[0]), name.split(", d_model")[0]))
    page_says(
        "At width 256 one layer and both nests are as far on `pointer_chase` as before, or further, and none of them "
        "makes more than 1 hop of `ancestor`. With 8 heads order 2 is as far as before, or further; order 3 falls"
    )
    for rows, task in zip((pointer, ancestor, kinship), WIDE, strict=True):
        assert float(reach(rows, "nexus, order 2, n_heads 8")) >= float(reach(studied(task), "nexus, order 2"))
    assert f"order 3 falls to {reach(ancestor, 'nexus, order 3, n_heads 8')} on `ancestor`" in TEXT
    assert set(reaches(pointer, "nexus, order 3, n_heads 1")) == {1}
    assert all(set(reaches(ancestor, f"nexus, order {order}, n_heads 1")) == {1} for order in (2, 3))
    page_says(
        "With 1 head order 3 stops at 1 hop of `pointer_chase`, both orders at 1 of `ancestor`, and neither learns "
        "`kinship`. - **Tree** attention makes 2 hops of `pointer_chase` with 2 folds and 2 or 3 with 3; of "
        "`ancestor` 1, or 2 on one seed, with 2 folds."
    )
    assert sorted(reaches(pointer, "tree, folds 2")) == [2] * 4 and set(reaches(pointer, "tree, folds 3")) == {2, 3}
    assert sorted(reaches(ancestor, "tree, folds 2")) == [1, 1, 1, 2]
    assert [set(reaches(rows, "DeltaProduct, tokens")) for rows in (pointer, ancestor, kinship)] == [{1}, {0}, {0}]
    page_says("It makes 1 hop of `pointer_chase` and none of the others;")
    lost = {(task, name) for task in WIDE for name in models([beside("reference-wide", task)]) if is_lost(task, name)}
    assert lost == {
        ("ancestor", "tree, folds 3"),
        *(("kinship", f"nexus, order {rest}") for rest in ("4", "3, mix last, refine qkv", "3, n_heads 8")),
        *(("kinship", f"nexus, order {order}, n_heads 1") for order in (2, 3)),
        *(("kinship", name) for name in ("tree, folds 2", "tree, folds 3", "DeltaProduct, tokens")),
    }
    page_says(
        "at chance or below even at 1 hop: on `ancestor` the tree of 3 folds; on `kinship` order 4, order 3 "
        "with values refined, both trees, DeltaProduct, both orders with 1 head, and order 3 with 8."
    )


def is_lost(task: str, model: str) -> bool:
    """Whether a model is at chance or below at 1 hop, within 0.02."""
    rows = beside("reference-wide", task)
    return at(rows, model, 1) < rows[rows["hop"] == 1]["chance"].mean() + 0.02


def test_what_the_page_says_of_tokens() -> None:
    loops, layers = "standard, n_loops 2, inject", "standard, n_layers 2"
    two, three = "nexus, order 2", "nexus, order 3"
    reached = {
        (task, name): float(reach(beside("reference-flat", task), name))
        for task in FLAT
        for name in models([beside("reference-flat", task)])
    }
    ahead = {task: reached[task, two] - reached[task, loops] for task in FLAT}
    assert ahead["pointer_chase"] < 0 and ahead["variable_chain"] < 0 and ahead["path_query"] == 0
    page_says("**Order 2 against two loops** is as in the study in the three families that were learned: behind on")
    page_says("Order 3 is ahead of two loops on `pointer_chase` alone, and behind order 2 on `path_query`.")
    page_says("No seed reaches 3 hops.")
    for task in FLAT:
        assert float(reach(studied(task), layers)) >= float(reach(studied(task), loops))
    assert [sorted(reaches(beside("reference-flat", task), layers)) for task in ("path_query", "variable_chain")] == [
        [1] * 5 + [2],
        [1] * 6,
    ]
    assert {reached[task, loops] for task in ("path_query", "variable_chain")} == {2.0}
    assert [task for task in FLAT if reached[task, three] > reached[task, loops]] == ["pointer_chase"]
    assert [task for task in FLAT if reached[task, three] < reached[task, two]] == ["path_query"]
    assert max(max(reaches(beside("reference-flat", task), name)) for task, name in reached) == 2
    ancestor, pointer, chain = (
        beside("reference-flat", task) for task in ("ancestor", "pointer_chase", "variable_chain")
    )
    means = [at(ancestor, name, 1) for name in models([ancestor])]
    assert f"at 1 hop mean accuracies are {min(means):.2f} to {max(means):.2f}" in TEXT
    assert {name: sum(reaches(ancestor, name)) for name in models([ancestor]) if sum(reaches(ancestor, name))} == {
        layers: 1
    }
    assert "with which ancestor was not\n" in (ROOT / "tasks" / "suites" / "reference-flat.yaml").read_text()
    (near,) = {f"{at(pointer, name, 1):.2f}" for name in ("standard", two)}
    nearly = " and ".join(f"{at(chain, name, 3):.2f}" for name in (loops, three))
    page_says("and only one seed, of two layers, reaches it.")
    page_says(
        f"At 1 hop of `pointer_chase` one layer and order 2 narrowly miss the 0.95 that count ({near} each), as "
        f"two loops and order 3 do at 3 hops of `variable_chain` ({nearly}),"
    )


def test_what_the_page_says_of_tokens_with_learned_positions() -> None:
    rivals = measured(BESIDE / "rivals").query("encoding == 'flat'")
    assert set(rivals["position"]) == {"learned"} and set(rivals["n_facts"]) == {12}
    assert set(beside("reference-flat", "pointer_chase")["n_facts"]) == {9}
    reached = {name: reaches(rivals, name) for name in models([rivals])}
    assert min(map(min, reached.values())) == 1
    assert all(set(reached[f"nexus, order {order}"]) == {2} for order in (2, 3))
    loops = [hops for name, found in reached.items() if "n_loops" in name for hops in found]
    assert sum(hops >= 2 for hops in loops) / len(loops) < 0.2
    page_says("every model makes 1 hop of `pointer_chase` on every seed, order 2 and 3 make 2, and loops seldom do.")


def test_what_the_page_says_of_another_optimiser() -> None:
    lion, adamw = beside("reference-lion", "pointer_chase"), studied("pointer_chase")
    assert lion["recipe_options"].str.contains("optimizer=lion").all()
    assert not adamw["recipe_options"].str.contains("optimizer").any()
    two = ("standard, n_loops 2, inject", "nexus, order 2", "nexus, order 2, compare mirrored")
    assert all(reaches(lion, name) == [2] * 6 for name in two)
    assert max(two, key=lambda name: float(reach(adamw, name))) == two[0]
    page_says("Two loops and order 2 in either reading make exactly 2 hops on every seed.")
    three = ("nexus, order 3", "nexus, order 3, compare mirrored", "standard, n_loops 3, inject")
    page_says("three loops are ahead of order 3, which makes 3 hops on every seed, and mirrored is between them.")
    for rows in (lion, adamw):
        means = [float(reach(rows, name)) for name in three]
        assert means == sorted(means) and len(set(means)) == 3 and set(reaches(rows, three[0])) == {3}


def test_the_small_study_is_told_beside_the_large_one() -> None:
    loops, nest = "standard, n_loops 2, inject", "nexus, order 2"
    chase, chain = (beside("reference-small", task) for task in ("pointer_chase", "variable_chain"))
    assert f"order 2 reaches {reach(chain, nest)} hops and two loops {reach(chain, loops)}, as the study" in TEXT
    further = [mine - other for mine, other in zip(reaches(chase, nest), reaches(chase, loops), strict=True)]
    assert (sum(one > 0 for one in further), sum(one < 0 for one in further), len(further)) == (6, 0, 7)
    told = (
        f"order 2 reaches {reach(chase, nest)} and two loops {reach(chase, loops)}, further on 6 seeds of 7 and behind"
    )
    assert told in TEXT and f"loops reach {reach(studied('pointer_chase'), loops)} there, and no difference" in TEXT
    pairs = read_report([BESIDE / "reference-small"]).comparisons
    declared = pairs[pairs["kind"] == "declared"].groupby("task")["verdict"].agg(list).to_dict()
    assert declared == {"pointer_chase": ["better", "better"], "variable_chain": ["worse", "better"]}
