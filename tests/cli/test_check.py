"""`nexus-bench check`: the contract of attentions, run by their authors."""

import json
import re
import sys
import types
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive import standard as naive_standard
from nexus_bench.attention.parts import PackedProjections, attend, merge_heads
from nexus_bench.attention.promises import PROMISES
from nexus_bench.attention.promises import check as promises_of
from nexus_bench.model.promises import OPTIONS
from tests.checked import states
from tests.conftest import Command, assert_fails
from tests.paths import ROOT


class Theirs(Attention[AttentionOptions]):
    """Softmax attention of somebody else, with a fault."""

    name = "theirs"
    version = 1
    fault: ClassVar[str] = ""

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.unused = nn.Parameter(torch.zeros(1)) if self.fault == "unused" else None

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        if self.fault == "elementwise":
            return x * self.out.weight.sum()
        q, k, v = self.projections.project(x, "qkv")
        if self.fault == "raises":
            return x @ x  # of the wrong shape
        if self.fault == "kernel" and x.is_meta:
            raise NotImplementedError("no such tensors")
        if self.fault == "place":
            place = layout.by_place(torch.arange(layout.n_places(q.shape[2]), device=q.device), q.shape[2])
            q = q * (1 + place[:, None].to(q.dtype) / 8)
        if self.fault == "future":
            layout = Layout(n_keys=layout.n_keys, rope=layout.rope, n_shared=layout.n_shared, block=layout.block)
        if self.fault == "keys":
            layout = Layout(causal=layout.causal, rope=layout.rope, n_shared=layout.n_shared, block=layout.block)
        if self.fault == "blocks":
            layout = Layout(layout.causal, layout.n_keys, layout.rope)
        if self.fault == "rope":
            layout = Layout(layout.causal, layout.n_keys, n_shared=layout.n_shared, block=layout.block)
        if self.fault == "order":
            v = v * torch.arange(v.shape[2], device=v.device)[:, None]
        if self.fault == "branch" and x.sum() > 0:
            v = v + 1
        out: Tensor = self.out(merge_heads(attend(q, k, v, layout)))
        if self.fault == "random":
            out = out + 1e-3 * torch.randn_like(out)
        if self.fault == "batch":
            out = out - 1e-3 * out.mean(dim=0, keepdim=True)
        if self.fault == "type":
            out = torch.zeros_like(x).index_add(1, torch.arange(x.shape[1], device=x.device), out)
        if self.fault == "rounding":
            out = out / (out * 0 + 1.001 - 1)
        return out[..., :3] if self.fault == "shape" else out

    def uncounted_flops(self, n: int) -> int:
        return {"fewer": 10**12 // n, "fixed": -(10**9), "negative": -n}.get(self.fault, 0)


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> type[Theirs]:
    ATTENTIONS.names()
    monkeypatch.setitem(ATTENTIONS._entries, "theirs", Theirs)
    return Theirs


def test_a_mechanism_of_another_package_that_keeps_everything(theirs: type[Theirs], command: Command) -> None:
    done = command("check", "theirs")
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert states(done.stdout) == dict.fromkeys([*PROMISES, OPTIONS], "kept") | {
        "agrees with its reference": "not asked"
    }


class Choices(AttentionOptions):
    """Two of few values, one of many."""

    ahead: Literal["v", "qv"] = "v"
    gated: bool = False
    start: float = 1.0


def test_what_was_asked_at_one_value_alone_is_said(theirs: type[Theirs], command: Command) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "Options", Choices)
        at_defaults, at_another = command("check", "theirs"), command("check", "theirs", "ahead=qv", "gated=true")
    said = "theirs: not asked: keeps its promises at other values of options"
    assert at_defaults.stdout.splitlines()[-1] == f"{said} (--set ahead=qv or --set gated=true)"
    assert at_another.stdout.splitlines()[-1] == f"{said} (--set ahead=v or --set gated=false)"


FAULTS = {
    "shape": "keeps shape and type, gradients are finite",
    "unused": "keeps shape and type, gradients are finite",
    "batch": "examples of a batch are not seen",
    "random": "examples of a batch are not seen",
    "future": "later positions are not seen",
    "keys": "positions that are no keys are not seen",
    "blocks": "a block is seen by itself alone",
    "rope": "rotary positions count by distance",
    "place": "rotary positions count by distance",
    "type": "runs in mixed precision",
    "rounding": "runs in mixed precision",
    "elementwise": "its cost is counted",
    "fewer": "its cost is counted",
    "fixed": "its cost is counted",
    "negative": "its cost is counted",
    "order": "the order of a set does not matter",
    "branch": "compiles as one graph",
}


@pytest.mark.parametrize(("fault", "promise"), FAULTS.items())
def test_every_fault_breaks_a_promise(
    fault: str, promise: str, theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "fault", fault)
    done = command("check", "theirs")
    assert done.returncode == 6 and "Traceback" not in done.stderr
    assert states(done.stdout)[promise] == "broken", done.stdout
    assert f"theirs: {promise}" in done.stderr and done.stderr.count("\n") == 1


def test_random_outputs_are_not_taken_for_what_other_examples_do(
    theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "fault", "random")
    assert (
        "not seen (something in forward is random: outputs for the same input differ by"
        in command("check", "theirs").stdout
    )


@pytest.mark.parametrize("fault", ["rope", "place"])
def test_rotary_positions_of_what_takes_sequences_alone_are_checked(
    fault: str, theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "takes_sets", False)
    asked = "rotary positions count by distance"
    assert states(command("check", "theirs").stdout)[asked] == "kept"
    monkeypatch.setattr(theirs, "fault", fault)
    assert states(command("check", "theirs").stdout)[asked] == "broken"


def test_a_kernel_without_a_form_for_empty_tensors_is_not_counted(
    theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "fault", "kernel")
    done = command("check", "theirs")
    assert done.returncode == 0 and states(done.stdout)["its cost is counted"] == "not asked"


def test_what_raises_names_the_line_of_its_author(
    theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "fault", "raises")
    done = command("check", "theirs")
    line = Theirs.forward.__code__.co_firstlineno + 5
    assert done.returncode == 6 and "RuntimeError: " in done.stdout and f"test_check.py:{line}" in done.stdout


@pytest.mark.parametrize(
    ("flag", "fault", "promise"),
    [
        ("is_equivariant", "order", "the order of a set does not matter"),
        ("stacks", "branch", "stacks"),
        ("takes_rope", "rope", "rotary positions count by distance"),
    ],
)
def test_what_it_does_not_claim_is_not_asked(
    flag: str, fault: str, promise: str, theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "fault", fault)
    monkeypatch.setattr(theirs, flag, False)
    done = command("check", "theirs")
    assert states(done.stdout)[promise] == "not asked" and f"({flag} is False)" in done.stdout


@pytest.mark.parametrize("right", [True, False])
def test_a_reference_that_it_names_is_compared(
    right: bool, theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = types.ModuleType("their_reference")
    module.heads = lambda own, x, layout: [h * (1 if right else 1.01) for h in naive_standard.heads(own, x, layout)]
    monkeypatch.setitem(sys.modules, "their_reference", module)
    monkeypatch.setattr(theirs, "reference", "their_reference")
    done = command("check", "theirs", "--json")
    assert done.returncode == (0 if right else 6)
    told = {one["promise"]: one for one in json.loads(done.stdout)["promises"]}["agrees with its reference"]
    assert told["state"] == ("kept" if right else "broken")
    assert right or told["detail"].startswith("the output of forward and of their_reference differ by ")


@pytest.mark.parametrize(("named", "said"), [("no_such_module", "ModuleNotFoundError"), ("json", "AttributeError")])
def test_a_reference_that_cannot_be_used_is_broken(
    named: str, said: str, theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "reference", named)
    done = command("check", "theirs")
    assert done.returncode == 6 and states(done.stdout)["agrees with its reference"] == "broken" and said in done.stdout


def test_a_file_named_as_one_of_ours_is_not_compared_with_it(
    theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "__module__", "their_package.nexus")
    assert states(command("check", "theirs").stdout)["agrees with its reference"] == "not asked"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("check order=2", 2, "name a task or an attention, as in `nexus-bench check nexus order=3`"),
        ("check nexu", 3, "unknown task or attention 'nexu'; did you mean 'nexus'?"),
        ("check nexus --set order=0", 3, "nexus: order: input should be greater than or equal to 1, got 0"),
        ("check nexus --set ordre=2", 3, "ordre is not an option of nexus; omit it"),
        ("check nexus --set compare=mirrored --set refine=q", 3, "compare must be qk or self with refine q"),
    ],
)
def test_a_wrong_line_is_one_line_of_error(line: str, code: int, said: str, command: Command) -> None:
    assert_fails(command(*line.split()), code, said)


@pytest.mark.parametrize(("fault", "said"), [("raises", "Theirs.forward failed with"), ("shape", "gave (2, 7, 3)")])
def test_what_crashes_or_has_another_shape_is_told_once_and_nothing_more_is_asked(
    fault: str, said: str, theirs: type[Theirs], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Theirs, "fault", fault)
    result = command("check", "theirs")
    lines = result.stdout.splitlines()
    assert result.returncode == 6
    assert lines[0].startswith("theirs: broken: ") and said in lines[0]
    assert "uninstall" not in result.stdout and "fake" not in result.stdout + result.stderr
    assert [line for line in lines[1:] if "broken" in line] == []
    assert sum(line.endswith("(forward fails)") for line in lines) == len(PROMISES) - 1


def test_the_pass_with_its_own_scores_that_the_page_shows_keeps_what_is_promised(
    theirs: type[Theirs], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "add_an_attention.md").read_text()
    (block,) = re.findall(r"  ```python\n(  q, k, v = .*?)  ```", page, flags=re.DOTALL)
    lines = {"merge_heads": merge_heads}
    exec(f"def forward(self, x, layout):\n{block}", lines)
    monkeypatch.setattr(Theirs, "forward", lines["forward"])
    told = {one.promise: one for one in promises_of(Theirs, {}, explain=str)}
    assert [one for one in told.values() if one.state == "broken" and "reference" not in one.promise] == []
