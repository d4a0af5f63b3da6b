"""What `docs/pretrained_models.md` says is so."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from transformers import DynamicCache

from nexus_bench.hf import apply_nexus
from tests.hf.tiny import D_HEAD, N_GROUPS, N_HEADS, logits, stock, tokens
from tests.paths import EXAMPLES, ROOT

PAGE = (ROOT / "docs" / "pretrained_models.md").read_text()
KEPT = re.findall(r"^\| (default|`(?:inner|compare|mix|refine) .*?) \| (.*? g) \|$", PAGE, flags=re.MULTILINE)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    exec(example, {})
    assert (tmp_path / "nested" / "config.json").is_file()


def test_the_table_of_caches_is_read() -> None:
    assert len(KEPT) == 11


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("reading, formula", KEPT)
def test_a_cache_keeps_what_the_table_says(reading: str, formula: str, order: int) -> None:
    options: Any = dict(word.split() for word in re.findall(r"`(.*?)`", reading))
    model = apply_nexus(stock(num_hidden_layers=1), order, **options)
    cache = DynamicCache(config=model.config)
    logits(model, tokens(5, batch=1), cache=cache)
    (layer,) = cache.layers
    kept = sum(x.numel() for x in (layer.keys, layer.values, *layer.slots.values()))
    product = re.sub(r"(?<=[\w)]) (?=[mgh])", " * ", formula)
    assert kept == 5 * D_HEAD * eval(product, {"m": order, "h": N_HEADS, "g": N_GROUPS})


METHODS = {
    "untouched": "untouched",
    "standard": "standard",
    "order 2, gated": "nexus, order 2, refine qk, gated",
    "order 2, gated, last third": "nexus, order 2, refine qk, gated, layers 20-29",
    "order 3, gated": "nexus, order 3, refine qk, gated",
    "order 2, literal": "nexus, order 2, refine qk",
}
FIRST_TABLE, SECOND_TABLE = PAGE.split("## What fine-tuning showed")[1].split("| method on `pointer_chase` |")
COLUMNS = [("kinship", hop) for hop in (1, 2, 3, 4)] + [("arc_easy", 1), ("piqa", 1)]


def told_by(run: str, model: str, hop: int) -> str:
    """An accuracy of a report, as the page writes it; empty where there is none."""
    table = pd.read_csv(EXAMPLES / "retrofit" / run / "report.csv")
    rows = table[(table.model == model) & (table.hop == hop) & (table.split == "test")]
    if rows.empty:
        return ""
    (row,) = rows.itertuples()
    mean, low, high = (
        f"{value:.3f}".replace("1.000", "1").removeprefix("0") for value in (row.mean, row.low, row.high)
    )
    return mean if row.n_seeds == 1 else f"{mean} [{low}, {high}]"


@pytest.mark.parametrize("method", METHODS)
def test_the_table_of_what_fine_tuning_showed(method: str) -> None:
    (line,) = re.findall(rf"^\| {re.escape(method)} \|(.*)\|$", FIRST_TABLE, flags=re.MULTILINE)
    later = {"kinship": "kinship_order3"} if method == "order 3, gated" else {}
    told = [told_by(later.get(run, run), METHODS[method], hop) for run, hop in COLUMNS]
    assert [cell.strip() for cell in line.split("|")] == told


def test_sentences_on_the_table_hold() -> None:
    showed = " ".join(PAGE.split("## What fine-tuning showed")[1].split())
    means = {}
    for run in ("kinship", "arc_easy", "piqa"):
        table = pd.read_csv(EXAMPLES / "retrofit" / run / "report.csv").query("split == 'test'")
        means[run] = table.pivot(index="model", columns="hop", values="mean")
    literal, gated = METHODS["order 2, literal"], [m for m in means["piqa"].index if "gated" in m]
    apart = (means["piqa"].loc[gated, 1] - means["piqa"].loc["standard", 1]).abs().max()
    assert len(gated) == 3 and apart < 0.003 and "its last third and order 3 lie within .003 of it" in showed
    assert f"(ARC-Easy: {means['arc_easy'].loc[literal, 1] - 0.25:.2f} above it)".replace("0.", ".") in showed
    learned = means["kinship"][1] > 0.95
    assert set(learned.index[~learned]) == {literal, "untouched"} and (means["kinship"][2] < 0.95).all()
    assert "every method that was trained beside the others but the literal one learns 1 hop" in showed


@pytest.mark.parametrize("method", METHODS)
def test_the_table_of_pointer_chase(method: str) -> None:
    (line,) = re.findall(rf"^\| {re.escape(method)} \|(.*)\|$", SECOND_TABLE, flags=re.MULTILINE)
    told = [told_by("pointer_chase", METHODS[method], hop) for hop in (1, 2, 3, 4)]
    assert [cell.strip() for cell in line.split("|")] == told


def by_seed(run: str, method: str, hop: int) -> list[str]:
    """Accuracies of the seeds that are reported, as the page writes them; a rate is chosen on the fourth."""
    rows = pd.read_csv(EXAMPLES / "retrofit" / run / "results.csv")
    rows = rows[(rows.model == METHODS[method]) & (rows.hop == hop) & (rows.split == "test") & (rows.seed < 3)]
    return [f"{accuracy:.3f}".removeprefix("0") for accuracy in rows.sort_values("seed").accuracy]


def test_sentences_on_pointer_chase_hold() -> None:
    told = " ".join(PAGE.split())
    standard, second, third = (
        by_seed("pointer_chase", *one) for one in (("standard", 2), ("order 2, gated", 2), ("order 2, gated", 3))
    )
    begun = {method: [x for x in by_seed("pointer_chase", method, 2) if float(x) > 0.2] for method in METHODS}
    assert {method: len(seeds) for method, seeds in begun.items() if seeds} == {"standard": 2, "order 2, gated": 1}
    assert f"Two seeds of the standard model have (2 hops {' and '.join(begun['standard'])})" in told
    assert f"one of order 2 ({max(second)}, and {third[second.index(max(second))]} at 3 hops)" in told
    assert f"first hop as well ({', '.join(by_seed('pointer_chase', 'order 3, gated', 1))})" in told
    assert len(standard) == 3 and pooled_of_others(2) < 0.1 and pooled_of_others(4) < 0.1
    assert f"at 3 a little above it ({pooled_of_others(3):.3f} of 2,700 answers".replace("(0.", "(.") in told


def pooled_of_others(hop: int) -> float:
    """Accuracy of all seeds that have not begun with 2 hops, but for the untouched and the literal model."""
    rows = pd.read_csv(EXAMPLES / "retrofit" / "pointer_chase" / "results.csv").query("split == 'test' and lr > 0")
    rows = rows[rows.model != METHODS["order 2, literal"]]
    have = rows[(rows.hop == 2) & (rows.accuracy > 0.2)].cell_id
    others = rows[(rows.hop == hop) & ~rows.cell_id.isin(have)]
    assert others.n_examples.sum() == 2700
    return float(others.n_correct.sum() / others.n_examples.sum())


def test_sentences_on_order_3_of_kinship_hold() -> None:
    told = " ".join(PAGE.split())
    (one, *others), (second, *_) = (by_seed("kinship_order3", "order 3, gated", hop) for hop in (1, 2))
    assert f"So does one of the three others ({one}), with {second} at 2 hops" in told
    beside, mean = by_seed("kinship_order3", "standard", 2)[0], told_by("kinship_order3", "standard", 2).split()[0]
    assert f"has {beside} on the same seed and {mean} in the mean; two are at chance ({', '.join(others)})" in told
    rows = pd.read_csv(EXAMPLES / "retrofit" / "kinship_order3" / "results.csv").query(
        "purpose == 'tuning' and hop == 1"
    )
    tuned = rows[(rows.model == METHODS["order 3, gated"]) & (rows.split == "test")].set_index("lr").accuracy
    at = {rate: f"{accuracy:.3f}".removeprefix("0") for rate, accuracy in tuned.items()}
    assert f"the seed that it was chosen by learns 1 hop ({at[3e-4]})" in told
    assert f"At 3e-5 and 1e-4 the seed of the choice learns 1 hop too ({at[3e-5]}, {at[1e-4]})" in told
