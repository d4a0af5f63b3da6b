"""What reproductions say of why they came out so: every figure is that of the run that is kept."""

import pandas as pd

from nexus_bench.io.columns import CURVE_COLUMNS
from nexus_bench.io.csv_files import read_csv
from nexus_bench.io.read_results import read_results
from nexus_bench.reproductions.spec import read_reproduction
from tests.paths import ROOT

CANON = "canon ACD"


def of(name: str, scale: str) -> tuple[str, pd.DataFrame]:
    """What is said, and the accuracies of the test split: a row per model, task and seed, a column per hop."""
    rows = read_results(ROOT / "runs" / "reproductions" / name / scale)
    rows = rows[rows["split"] == "test"]
    keys = ["model", "train_hops", "curriculum", "task_options", "seed"]
    wide = rows.pivot_table("accuracy", keys, "hop", dropna=False, observed=True).dropna(how="all").reset_index()
    return " ".join(read_reproduction(name).scale(scale).found), wide


def steps_to(name: str, scale: str, hop: int) -> pd.DataFrame:
    """The first step at which validation answers .95 of a hop, by model, hops trained, curriculum and seed."""
    folder = ROOT / "runs" / "reproductions" / name / scale
    keys = ["model", "train_hops", "curriculum", "seed"]
    curve = read_csv(folder / "curve.csv", CURVE_COLUMNS).drop(columns=["model", "seed"])
    curve = curve.merge(read_results(folder).drop_duplicates("cell_id")[["cell_id", *keys]], on="cell_id")
    there = curve[(curve["hop"] == hop) & (curve["accuracy"] >= 0.95)]
    return there.groupby(keys)["step"].min().reset_index()


def validated(name: str, scale: str) -> pd.DataFrame:
    """The curve of validation, with what its cells are."""
    folder = ROOT / "runs" / "reproductions" / name / scale
    cells = read_results(folder).drop_duplicates("cell_id").drop(columns=["model", "seed", "hop", "accuracy", "loss"])
    return read_csv(folder / "curve.csv", CURVE_COLUMNS).merge(cells, on="cell_id")


def to(values: "pd.Series[float]", digits: int = 2) -> str:
    """From the least value to the largest."""
    return f"{values.min():.{digits}f} to {values.max():.{digits}f}".replace("0.", ".")


def learned(values: "pd.Series[float]") -> int:
    return int((values >= 0.95).sum())


def listed(values: "pd.Series[float]") -> list[str]:
    return [f"{value:.3f}".removeprefix("0") for value in values]


def test_hops_alone() -> None:
    said, wide = of("hops-alone", "small")
    longer = read_results(ROOT / "runs" / "beside" / "hops-alone-longer")
    longer = longer[longer["split"] == "test"]
    steps = {hop: rows["steps_to_95"] for hop, rows in longer.groupby("hop")}
    assert {len(of_hop) for of_hop in steps.values()} == {3} and longer["accuracy"].min() > 0.99
    assert f"after {steps[4].min():,} to {steps[4].max():,} steps" in said and set(steps[2]) == {1250}
    assert f"or {steps[4].min() * 384 / 1e6:.1f} to {steps[4].max() * 384 / 1e6:.1f} million labels" in said
    assert f"take 1,250 steps and 3 hops {steps[3].min():,} to {steps[3].max():,}" in said
    all_at_once, taught = (
        wide[(wide["train_hops"] == "1-4") & (wide["curriculum"] == c)] for c in ("none", "adaptive")
    )
    assert [learned(all_at_once[hop]) for hop in (2, 3)] == [1, 0]
    assert "one seed of 5 learns 2 hops and none more" in said
    assert [learned(taught[hop]) for hop in (3, 4)] == [4, 1] and "4 seeds learn 3 hops and one of them 4" in said
    published, wide = of("hops-alone", "published")
    steps = steps_to("hops-alone", "published", 4)
    steps["looped"] = steps["model"].str.contains("n_loops 4")
    alone = steps[steps["train_hops"] == "4"]
    mixed = steps[(steps["train_hops"] == "1-4") & (steps["curriculum"] == "none")]
    four = alone[~alone["looped"]]["step"]
    assert len(four) == 5 and f"after {four.min():,} to {four.max():,} of the 8,000 steps, on every seed" in published
    at_once = mixed[~mixed["looped"]]["step"]
    assert len(at_once) == 4 and f"after {at_once.min():,} to {at_once.max():,} steps; on one seed never" in published
    eased = steps[(steps["curriculum"] == "adaptive") & ~steps["looped"]]["step"]
    assert set(eased) == {2000} and "with the curriculum 4 hops are answered after 2,000 steps" in published
    of_four = at_once * 512 / 1e6, four * 2048 / 1e6
    millions = [f"{labels.min():.1f} to {labels.max():.1f}" for labels in of_four]
    assert f"{millions[0]} million of these are" in published and f"{millions[1]} million labels are" in published
    looped = alone[alone["looped"]]["step"]
    assert len(looped) == 2 and looped.min() == 5000 and "4 hops alone on 2 seeds of 5, after 5,000 steps" in published
    assert len(mixed[mixed["looped"]]) == 1 and "all at once on one" in published


def test_crasp_depth() -> None:
    said = " ".join(read_reproduction("crasp-depth").scale("small").found)
    rows = read_results(ROOT / "runs" / "beside" / "crasp-length")
    rows = rows[rows["split"].str.startswith("eval")]
    assert set(rows.groupby(["split", "n_layers", "hop"])["seed"].nunique()) == {3}
    means = rows.groupby(["split", "n_layers", "hop"])["accuracy"].mean()
    lengths = [(41, 61), (81, 121), (161, 241)]
    every = [f"eval_labels=every_min_tokens={least}_n_tokens={most}_n256" for least, most in lengths]
    assert min(means[split, layers, layers + 2] for split in every for layers in (1, 2)) >= 0.995
    for layers, words in ((1, "with one layer (4 blocks)"), (2, "with two (5 blocks)")):
        first, second, third = (means[split, layers, layers + 3] for split in every)
        assert first > second > third
        assert f"from {first:.3f} to {third:.3f} {words}".replace("0.", ".") in said
    starts = f"{means['eval_labels=starts_min_tokens=41_n_tokens=61_n512', 1, 4]:.3f}; {means[every[0], 1, 4]:.3f}"
    assert f"({starts} at every place)".replace("0.", ".") in said


def test_depo() -> None:
    said, wide = of("depo", "small")
    canon = wide["model"].str.contains(CANON)
    assert f"No model learns 2 hops ({to(wide[2])}, chance .14)" in said
    assert f"{to(wide[canon][1])} with them, {to(wide[~canon][1])} without" in said
    said, wide = of("depo", "published")
    canon, standard = wide["model"].str.contains(CANON), wide["model"].str.startswith("standard")
    assert ((wide[2] > 0.5).sum(), len(wide)) == (1, 18) and wide[2].max() < 0.6 and wide[3].max() < 0.1
    assert f"not learn even 1 hop without Canon layers ({to(wide[standard & ~canon][1])}, chance .06)" in said
    assert f"does with them ({to(wide[standard & canon][1])})" in said and wide[~standard][1].min() > 0.7


def test_depth_log_k() -> None:
    said, wide = of("depth-log-k", "small")
    three, two = (wide[wide["model"].str.contains(f"n_layers {n}")] for n in (3, 2))
    three = three.sort_values(3, ascending=False)
    assert f"({listed(three[3])[0]})" in said and learned(three[3]) == 1
    assert f"({', '.join(listed(three[2])[1:])})" in said and f"({to(two[2], 3)})" in said
    said, wide = of("depth-log-k", "published")
    six = wide[wide["model"].str.contains("n_layers 6")].mean(numeric_only=True)
    assert ".96 at 12 hops, .91 at 13, .84 at 16" in said
    assert [f"{six[hop]:.2f}" for hop in (12, 13, 16)] == ["0.96", "0.91", "0.84"]
    table = pd.read_csv(ROOT / "runs" / "reproductions" / "depth-log-k" / "published" / "reproduction.csv")
    claimed = table[table["relation"] == "equals"]
    assert claimed["claimed"].between(claimed["low"], claimed["high"]).tolist() == [True] * 4 + [False]
    assert f"that of six, {claimed['low'].iloc[-1]:.1f} to {claimed['high'].iloc[-1]:.1f}, stays below its 15" in said


def test_loops() -> None:
    said, wide = of("loops", "small")
    layers, looped = wide["model"].str.contains("n_layers 3"), wide["model"].str.contains("n_loops 3")
    random = wide["model"].str.contains("random_loops")
    assert f"3 hops further ({to(wide[layers][3])}) than" in said
    assert f"looped three times ({to(wide[looped & ~random][3])})" in said
    assert f"2 hops are not learned ({to(wide[random][2])}, chance .59)" in said and wide[3].max() < 0.95


def test_mano() -> None:
    said, wide = of("mano", "small")
    assert f"a single operation ({to(wide[1])})" in said and f"3 operations ({to(wide[3])}, chance .08)" in said


def test_mqar() -> None:
    said, wide = of("mqar", "small")
    many, wider = wide["task_options"].str.contains("n_pairs=12"), ~wide["model"].str.contains("d_model 16")
    linear = wide["model"].str.startswith("linear")
    attention = wide[many & wider & ~linear]
    assert "12 pairs on 2 seeds of 3" in said and learned(attention[1]) == 2
    assert f"not begun after 2,000 ({listed(attention[1])[2]})" in said
    first = steps_to("mqar", "small", 1)
    assert "already after 500 steps" in said and first["step"].min() == 500
    gains = [
        wide[linear & wider & pairs][1].mean() - wide[linear & ~wider & pairs][1].mean() for pairs in (many, ~many)
    ]
    assert f"gains {gains[0]:.3f} by width at 12 pairs".replace("0.", ".") in said
    assert f"at 4 pairs it gains {gains[1]:.2f}.".replace("0.", ".") in said


def test_path_star() -> None:
    said, wide = of("path-star", "small")
    first, second, third = listed(wide[2].dropna())
    assert f"the seeds answer {first}, {second} and {third}" in said
    error = (0.5 * 0.5 / 512) ** 0.5
    assert f"{0.5 - 2 * error:.2f} to {0.5 + 2 * error:.2f}".replace("0.", ".") in said


def test_tree_composition() -> None:
    said, wide = of("tree-composition", "published")
    two, three = (wide["model"].str.contains(f"folds {folds}") for folds in (2, 3))
    alone = wide["train_hops"] == "2"
    assert (learned(wide[two & alone][2]), learned(wide[three & alone][2])) == (3, 4)
    steps = steps_to("tree-composition", "published", 2)
    of_two = steps[steps["model"].str.contains("folds 2") & (steps["train_hops"] == "2")]["step"]
    assert set(of_two) == {500} and "on 3 seeds of 5, all within 500 steps, of three folds on 4" in said
    others = wide[(two | three) & alone & (wide[2] < 0.95)][2]
    assert f"the others stay at {to(others)} until the end" in said
    assert learned(wide[(two | three) & ~alone][2]) == 10 and "all 10 learn 2 hops" in said
    deeper = wide[three & ~alone][3]
    assert learned(deeper) == 3 and f"the others stay at {to(deeper[deeper < 0.95])}" in said


def test_published_loops() -> None:
    said, wide = of("loops", "published")
    layers, random = wide["model"].str.contains("n_layers 6"), wide["model"].str.contains("random_loops")
    looped = wide["model"].str.contains("n_loops 6") & ~random
    one = ~layers & ~random & ~looped
    assert f"at {to(wide[layers][16])}," in said and wide[one][16].mean().round(2) == 0.60
    assert f"looped six times {to(wide[looped][8])}, one layer {to(wide[one][8])}" in said
    assert wide[layers][8].min() > 0.995 and f"({to(wide[random][8])} at 8 hops)" in said
    four = validated("loops", "published").query("hop == 4")
    four["kind"] = four["n_layers"].astype(str) + four["model_options"].fillna("")
    means = four.groupby(["kind", "step"])["accuracy"].mean().round(2)
    assert "on average six layers answer 4 hops (.99) after 3,000 steps, one looped after 6,000" in said
    for kind, step in (("6", 3000), ("1inject=true", 6000)):
        assert means[kind, step] == 0.99 > means[kind, step - 1000]
    first = four[(four["kind"] == "1inject=true") & (four["accuracy"] > 0.985)].groupby("seed")["step"].min()
    assert sorted(first) == [4000, 4000, 4000, 7000] and "(three seeds after 4,000, the last after 7,000)" in said


def test_published_grokking() -> None:
    said = " ".join(read_reproduction("grokking").scale("published").found)
    rows = read_results(ROOT / "runs" / "reproductions" / "grokking" / "published").query("hop == 2")
    rows["few"] = rows["task_options"].str.contains("ratio=6")
    tested = {key: group for key, group in rows.query("split == 'test'").groupby(["n_layers", "few", "steps"])}
    few, many = ([tested[layers, is_few, 3000]["accuracy"] for layers in (4, 2)] for is_few in (True, False))
    assert f"{to(few[0])}, after 20,000 at {to(tested[4, True, 20000]['accuracy'])}" in said
    assert many[0].min() > 0.985 and f"slower at 16 (3,000 steps: {to(many[1])})" in said
    assert few[0].max() < few[1].min()
    unused = rows.query("split == 'pattern_ood' and n_layers == 2")["accuracy"].max()
    assert f"(20,000 steps: {to(tested[2, True, 20000]['accuracy'])})" in said
    assert f"(at most {unused:.3f})".replace("0.", ".") in said
    for layers, words in ((2, "after {:,} to {:,} steps"), (4, "(four layers: {:,} to {:,})")):
        done = tested[layers, False, 20000]["steps_done"]
        assert words.format(done.min(), done.max()) in said
    curve = validated("grokking", "published")
    curve = curve[(curve["hop"] == 2) & (curve["steps"] == 20000) & curve["task_options"].str.contains("ratio=6")]
    means = curve[curve["n_layers"] == 4].groupby("step")["accuracy"].mean()
    assert abs(means[20000] - means[15000]) < 0.01 < 0.03 < means[15000] - means[12000]
    assert "on validation they rise up to some 15,000 steps, and no more" in said


def test_published_brevo() -> None:
    said, wide = of("brevo", "published")
    canon, delta = wide["model"].str.contains(CANON), wide["model"].str.startswith("delta_net")
    rope, hops = wide["model"].str.contains("position rope"), [1, 2, 3, 4]
    margins = [wide[rope & canon][hop].min() - wide[rope & ~canon][hop].max() for hop in hops]
    assert 0.11 <= min(margins) < 0.12 and "(by .11 or more)" in said
    for of_kind, words in ((~rope & ~delta, "{} without, {} with."), (delta, "{} without, {} with. Without")):
        assert words.format(*(to(wide[of_kind & has][hops].stack()) for has in (~canon, canon))) in said


def test_published_mano() -> None:
    said, wide = of("mano", "published")
    canon, delta = wide["model"].str.contains(CANON), wide["model"].str.contains("delta_net")
    rope = wide["model"].str.contains("rope")
    assert len(wide) == 18 and learned(wide[2]) == 0 and learned(wide[~canon | delta][1]) == 0
    there = [one for of in (rope, ~rope) for one in sorted(listed(wide[of & ~delta & (wide[1] >= 0.95)][1]))]
    assert (
        f"({there[0]} and {there[1]} with rotary positions, {there[2]} without positions)" in said and len(there) == 3
    )
    without, has = (to(wide[one][2]) for one in (~delta & ~canon, ~delta & canon & ~rope))
    assert f"answers {without} without Canon layers, and with them {has} without positions" in said
    third, *two = sorted(wide[~delta & canon & rope][2])
    assert f"{to(pd.Series(two))} on two seeds; the third ({third:.3f})".replace("0.", ".") in said
    gained, lost = ((to(wide[delta & canon][hop]), to(wide[delta & ~canon][hop])) for hop in (2, 1))
    assert f"({gained[0]}, {gained[1]} without Canon layers)" in said and f"({lost[0]}, {lost[1]} without)" in said
    curve = validated("mano", "published").query("hop == 1").pivot_table("accuracy", "cell_id", "step")
    assert (curve[20000] - curve[16000]).abs().max() < 0.05 and "is .05 or less apart" in said


def test_published_mqar() -> None:
    said = " ".join(read_reproduction("mqar").scale("published").found)
    curve = validated("mqar", "published").query("attention == 'standard'")
    last = curve[(curve["n_facts"] == 256) & (curve["step"] == 3000)]["loss"]
    assert f"the loss stays at {last.min():.2f} to {last.max():.2f}" in said
    rows = read_results(ROOT / "runs" / "reproductions" / "mqar" / "published").query("split == 'test'")
    found = rows.query("attention == 'standard' and n_facts == 64").groupby(["d_model", "lr"])["accuracy"]
    assert [f"{found.max()[width, 0.003]:.2f}" for width in (32, 64)] == ["0.99", "0.98"] and "(.99, .98, after" in said
    assert f"({to(found.get_group((64, 0.001)))}, rising)" in said
    delta = rows.query("attention == 'delta_net' and d_model == 64 and lr == 0.003").groupby("n_facts")["accuracy"]
    assert [learned(one) for _, one in delta] == [3, 2] and "three seeds of 3 at 4 pairs, two at 16 (.96, 1.00)" in said
    mamba = rows.query("attention == 'mamba2'")["accuracy"].max()
    assert f"But `mamba2` has them too, and answers {mamba:.3f} at most".replace("0.", ".") in said
    (canon,) = read_results(ROOT / "runs" / "beside" / "mqar-canon").query("split == 'test'").to_dict("records")
    assert (canon["d_model"], canon["lr"], canon["steps"], canon["n_facts"]) == (64, 0.003, 3000, 256)
    assert f"at 3e-3: {canon['accuracy']:.3f}, a loss of {canon['loss']:.2f};".replace(" 0.", " .") in said
    longer = read_results(ROOT / "runs" / "beside" / "mqar-longer").query("split == 'test'")
    four = longer.query("attention == 'standard' and d_model == 64 and n_facts == 64")
    at_rate = four.groupby("lr")[["accuracy", "steps_to_95"]]
    first = at_rate.get_group(0.001)["steps_to_95"]
    assert len(first) == 3 and f"on three seeds of 3, after {first.min():,} to {first.max():,} steps" in said
    assert f"At 3e-3 it stays at {to(at_rate.get_group(0.003)['accuracy'])}" in said
    sixteen = longer[longer["n_facts"] == 256].groupby("attention")
    begun = sixteen.get_group("standard")
    assert set(begun["d_model"]) == {32, 64} and f"at most {begun['accuracy'].max():.2f}".replace("0.", ".") in said
    assert f"a loss of {begun['loss'].min():.2f} to {begun['loss'].max():.2f}" in said
    has = sixteen.get_group("delta_net")
    assert (has["accuracy"] > 0.99).all() and set(has["d_model"]) == {64} and len(has) == 6
    assert f"at both rates, after {has['steps_to_95'].min():,} to {has['steps_to_95'].max():,} steps" in said
    assert f"{sixteen['accuracy'].max()[['linear', 'mamba2']].max():.2f} at most".removeprefix("0") in said
    assert f"({longer['cell_id'].nunique()} of the 96 cells" in said


def test_published_crasp_depth() -> None:
    said = " ".join(read_reproduction("crasp-depth").scale("published").found)
    rows = read_results(ROOT / "runs" / "reproductions" / "crasp-depth" / "published")
    tested, longer = (rows[rows["split"].str.startswith(split)] for split in ("test", "eval"))
    four = tested[tested["hop"] == 4].groupby("n_layers")["accuracy"]
    assert f"right at {to(four.get_group(1))} of them" in said and four.min()[2:].min() > 0.995
    means, least = (getattr(longer.groupby(["n_layers", "hop"])["accuracy"], what)() for what in ("mean", "min"))
    assert f"(5 blocks {means[2, 5]:.3f}, 7 blocks {means[2, 7]:.3f})".replace("0.", ".") in said
    deep = {key: value for key, value in least.items() if key[0] > 2}
    assert min(deep[layers, 7] for layers in (3, 4)) >= 0.999 and min(deep, key=lambda key: deep[key]) == (4, 6)
    assert f"one seed of four layers (6 blocks {deep.pop((4, 6)):.3f})".replace("0.", ".") in said
    assert min(deep.values()) > 0.997
