"""Held-out losses of pretrained models are compared by model, over seeds, and only where all else is equal."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from scipy.stats import wilcoxon

from nexus_bench.errors import NexusBenchError, UsageError
from nexus_bench.hf.losses import losses
from nexus_bench.hf.pretrain_spec import PretrainSpec, make_request
from nexus_bench.hf.pythia import cost_of, make_config
from tests.conftest import Command, assert_fails
from tests.paths import EXAMPLES, ROOT

NEST = {"attention": "nexus", "order": 2}


def write_run(folder: Path, loss: float, *, seed: int = 0, content: str = "c", **entry: Any) -> Path:
    spec = make_request({"arch": "pythia-14m", "text": ["t"], "seed": seed, **entry}, lr_of_arch=1e-3).spec
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(yaml.safe_dump({**spec.model_dump(mode="json"), "content_sha256": content}))
    summary: dict[str, Any] = {"model": "standard" if spec.nexus is None else f"nexus (order {spec.nexus.order})"}
    summary |= {"held_out_loss": loss, "bits_per_byte": loss / 2, "parameters": 7, "flops_per_token": 8.0, "tokens": 9}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    for seed, (flat, nested) in enumerate([(5.0, 4.9), (5.2, 5.1), (5.1, 4.8), (5.4, None)]):
        write_run(tmp_path / f"a{seed}", flat, seed=seed)
        if nested is not None:
            write_run(tmp_path / f"b{seed}", nested, seed=seed, text=["elsewhere"], **NEST)
    write_run(tmp_path / "w", 4.0, hidden_size=160, num_attention_heads=5)
    (tmp_path / "unfinished").mkdir()
    by_model = {one.model: one for one in losses([tmp_path])}
    flat, nested = by_model["standard"], by_model["nexus (order 2)"]
    wide = by_model["standard, hidden_size 160, num_attention_heads 5"]
    assert flat.seeds == [0, 1, 2, 3] and flat.difference is None and flat.held_out_loss == pytest.approx(5.175)
    assert nested.n_pairs == 3 and nested.difference == pytest.approx(-0.5 / 3)
    # Student's t for 2 degrees of freedom is 4.303; the differences are -.1, -.1, -.3
    assert (nested.difference_high or 0) - (nested.difference or 0) == pytest.approx(4.303 * 0.11547 / 3**0.5, rel=1e-3)
    assert wide.n_pairs == 1 and wide.difference == pytest.approx(-1.0) and wide.difference_low is None


def test_a_nest_is_compared_with_the_standard_model_of_its_sizes_where_there_is_one(tmp_path: Path) -> None:
    small = {"hidden_size": 64, "num_hidden_layers": 2}
    write_run(tmp_path / "nest", 4.75, **NEST, **small)
    write_run(tmp_path / "arch", 4.0)
    (_, of_arch) = losses([tmp_path])
    assert of_arch.model.startswith("nexus") and of_arch.difference == 0.75, "there is no other standard model"
    write_run(tmp_path / "small", 5.0, **small)
    differences = {one.model: one.difference for one in losses([tmp_path])}
    sizes = "hidden_size 64, num_hidden_layers 2"
    assert differences == {"standard": None, f"nexus (order 2), {sizes}": -0.25, f"standard, {sizes}": 1.0}
    shutil.rmtree(tmp_path / "arch")
    assert [one.difference for one in losses([tmp_path])] == [-0.25, None]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"lr": 2e-3}, "lr is 0.002, and 0.001"),
        ({"content": "d"}, "content_sha256 is 'd'"),
        ({"tokens": 5}, "tokens is 5"),
    ],
)
def test_runs_that_differ_in_more_than_the_model_are_not_compared(
    tmp_path: Path, other: dict[str, Any], named: str
) -> None:
    write_run(tmp_path / "a", 5.0)
    write_run(tmp_path / "b", 4.0, **NEST, **other)
    with pytest.raises(UsageError, match=named):
        losses([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize(
    "damage",
    [{"held_out_loss": "5"}, {"held_out_loss": None}, {"bits_per_byte": [1]}, {"model": 3}, {"parameters": "many"}],
    ids=str,
)
def test_a_value_of_another_kind_in_an_unsealed_summary_is_damage(
    damage: dict[str, Any], tmp_path: Path, command: Command
) -> None:
    write_run(tmp_path / "a", 5.0)
    path = write_run(tmp_path / "b", 5.0, seed=1) / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    assert_fails(command("losses", str(tmp_path)), 4, f"{path}: is damaged: not what pretrain writes")


@pytest.mark.parametrize("fault", ["twice", "none", "missing", "summary", "spec"])
def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    run = write_run(tmp_path / "a", 5.0)
    if fault == "twice":
        write_run(tmp_path / "b", 5.0)
    elif fault == "none":
        (run / "summary.json").unlink()
    elif fault == "summary":
        (run / "summary.json").write_text('{"model": "standard"}')
    elif fault == "spec":
        (run / "spec.yaml").write_text("arch: 3\nheight: 7\n")
    with pytest.raises(NexusBenchError) as told:
        losses([tmp_path / "nowhere" if fault == "missing" else tmp_path])
    assert "\n" not in str(told.value) and told.value.exit_code != 1


def test_two_runs_of_one_model_and_seed_are_both_named(tmp_path: Path, command: Command) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, 5.0)
    told = f"{tmp_path / 'b'}: is seed 0 of pythia-14m: standard, as is {tmp_path / 'a'}; name one of them"
    assert_fails(command("losses", str(tmp_path)), 2, told)


def test_the_page_tells_what_the_committed_runs_say() -> None:
    page = (ROOT / "docs" / "pretraining.md").read_text()
    rows = [line for line in page.splitlines() if re.search(r" \| [\d.]+ M \| [\d.]+ \|$", line)]
    found = losses([EXAMPLES / "pretrain"])
    assert len(rows) == len(found) == 10
    for one in found:
        held = f"{one.held_out_loss:.3f} [{one.held_out_low:.3f}, {one.held_out_high:.3f}]"
        apart = ""
        if one.difference is not None:
            apart = f" {one.difference:+.3f} [{one.difference_low:+.3f}, {one.difference_high:+.3f}]"
        wanted = (
            f"| {len(one.seeds)} | {held} |{apart} | {one.parameters / 1e6:.2f} M | {one.flops_per_token / 1e6:.1f} |"
        )
        assert any(row.endswith(wanted) for row in rows), wanted


def kept_loss(size: str, model: str, seed: int) -> float:
    """The held-out loss of a run that the repository keeps."""
    summary = EXAMPLES / "pretrain" / f"{size}-{model}-seed{seed}" / "summary.json"
    return float(json.loads(summary.read_text())["held_out_loss"])


@pytest.mark.parametrize("nest", ["order2", "order3", "mirrored2"])
def test_every_seed_of_every_nest_is_ahead_as_the_page_says(nest: str) -> None:
    for size, n_seeds in (("14m", 6), ("70m", 2)):
        assert all(kept_loss(size, nest, seed) < kept_loss(size, "standard", seed) for seed in range(n_seeds))
    page = " ".join((ROOT / "docs" / "pretraining.md").read_text().split())
    assert "on every seed: six of 14M, two of 70M." in page
    for size, n_seeds in (("14m", 6), ("70m", 2)):
        shares = [1 - kept_loss(size, nest, seed) / kept_loss(size, "standard", seed) for seed in range(n_seeds)]
        assert 0.0035 < sum(shares) / n_seeds < 0.0075 and 0.0015 < min(shares) and max(shares) < 0.0075
    assert "The mean of a nest is ahead by 0.4 to 0.7% of the loss, a single seed by 0.2 to 0.7%." in page
    alike = 2 / 2**6  # two-sided: all six of one sign
    told = f"of six pairs it cannot be below {alike:.3f}, nor, of four comparisons (Holm), below {4 * alike:.3f}."
    assert told.replace("0.", ".") in page


def test_mirrored_against_order_2_is_told_with_its_exact_test() -> None:
    found = [[kept_loss("14m", nest, seed) for seed in range(6)] for nest in ("mirrored2", "order2")]
    p = wilcoxon(*found, method="exact").pvalue
    page = " ".join((ROOT / "docs" / "pretraining.md").read_text().split())
    assert f"exact signed-rank p = {p:.3f}).".replace("0.", ".") in page


@pytest.mark.parametrize(("nest", "told"), [("order2", "84.6"), ("order3", "104.7"), ("mirrored2", "103.5")])
def test_the_page_tells_what_is_counted_now(nest: str, told: str) -> None:
    written = yaml.safe_load((EXAMPLES / "pretrain" / f"14m-{nest}-seed0" / "spec.yaml").read_text())
    spec = PretrainSpec.model_validate({key: written[key] for key in written if key != "content_sha256"})
    counted = cost_of(spec, make_config(spec, n_tokens=50_277, end_of_text=0)).flops_per_token
    assert f"{counted / 1e6:.1f}" == told
    page = (ROOT / "docs" / "pretraining.md").read_text()
    assert "makes: 84.6, 104.7 and 103.5 in the place of 85.2, 105.9 and 105.9." in " ".join(page.split())


def test_an_edited_number_of_a_summary_is_found_and_an_unsealed_one_is_said(tmp_path: Path, command: Command) -> None:
    spec = write_run(tmp_path / "a", 5.0) / "spec.yaml"
    assert "note: summary.json of a is unsealed, of an older version" in command("losses", "a").stderr
    (tmp_path / "b").mkdir()
    shutil.copy(spec, tmp_path / "b")
    sealed = (EXAMPLES / "pretrain" / "14m-order2-seed0" / "summary.json").read_text()
    (tmp_path / "b" / "summary.json").write_text(sealed)
    assert (whole := command("losses", "b")).returncode == 0 and not whole.stderr
    number = json.loads(sealed)["held_out_loss"]
    (tmp_path / "b" / "summary.json").write_text(sealed.replace(str(number), str(number - 0.01)))
    assert_fails(command("losses", "b"), 4, "summary.json: was edited or cut")


def test_a_folder_that_may_not_be_read_is_a_fault_of_storage(closed: Path, command: Command) -> None:
    write_run(closed.parent / "a", 5.0)
    for named in (closed, closed.parent):
        assert_fails(command("losses", str(named)), 5, f"{closed}: cannot be read: Permission denied; name a folder")
    assert command("losses", str(closed.parent / "a")).returncode == 0
