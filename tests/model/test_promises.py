"""`nexus-bench check` of whole models, of hybrids, and of the options of any mechanism."""

import re
from enum import StrEnum
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, AttentionOptions
from nexus_bench.attention.standard import Standard
from nexus_bench.experiment.suite import taken_names
from nexus_bench.model.batch import Batch
from nexus_bench.model.contract import Model
from nexus_bench.model.promises import OPTIONS, PROMISES, keeps_its_options
from nexus_bench.registry.promises import Broken
from tests.checked import states
from tests.conftest import Command, assert_fails
from tests.paths import ROOT


@pytest.fixture
def fading(monkeypatch: pytest.MonkeyPatch) -> type[Model]:
    """The whole model that the page shows, registered, with a fault that a test chooses."""
    ATTENTIONS.names()
    monkeypatch.setattr(ATTENTIONS, "_entries", dict(ATTENTIONS._entries))
    page = (ROOT / "docs" / "add_an_attention.md").read_text()
    (code,) = re.findall(r"^```python\n# your_package/fading.py\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "your_package.fading"}
    exec(code, names)

    class Faulty(names["Fading"]):  # type: ignore[misc]
        fault: ClassVar[str] = ""

        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            self.unseen = nn.Parameter(torch.zeros(1)) if self.fault == "unused" else None
            self.own = torch.randn(1)

        def forward(self, batch: Batch) -> Tensor:
            if self.fault == "first":
                batch = batch._replace(read_at=batch.read_at[:1])
            scores: Tensor = super().forward(batch)
            if self.fault == "kernel" and scores.is_meta:
                raise NotImplementedError("no such tensors")
            if self.fault == "branch" and scores.sum() > 0:
                scores = scores + 1
            if self.fault == "nan":
                scores = scores / 0
            if self.fault == "sqrt":
                scores = scores + (self.kept[:1] * 0).sqrt()
            if self.fault == "graphs":
                scores = scores + scores.mean(dim=0)
            if self.fault == "unsaved":
                scores = scores + self.own
            return scores[..., 1:] if self.fault == "shape" else scores

    monkeypatch.setitem(ATTENTIONS._entries, "fading", Faulty)
    return Faulty


ALL_KEPT = dict.fromkeys([*PROMISES, OPTIONS], "kept")


def test_the_whole_model_of_the_page_keeps_everything(fading: type[Model], command: Command) -> None:
    done = command("check", "fading", "--set", "kept=0.5", "--set", "d_model=10", "--set", "n_heads=2")
    assert done.returncode == 0 and not done.stderr and states(done.stdout) == ALL_KEPT, done


@pytest.mark.parametrize("name", ["standard+nexus", "delta_net+triangular"])
def test_a_hybrid_keeps_everything(name: str, command: Command) -> None:
    done = command("check", name)
    assert done.returncode == 0 and states(done.stdout) == ALL_KEPT, done


@pytest.mark.parametrize(
    ("fault", "promise", "said"),
    [
        ("shape", "scores and losses have their shape and are finite", "4 graphs, 3 queries and 21 classes got shape"),
        ("nan", "scores and losses have their shape and are finite", "not finite"),
        ("unused", "gradients are finite", "the gradient of unseen is missing"),
        ("sqrt", "gradients are finite", "the gradient of kept is missing or not finite"),
        ("graphs", "graphs of a batch do not see each other", "differ by"),
        ("first", "each graph is read at its own positions", "differ by"),
        ("unsaved", "saved and loaded, it answers the same", "differ by"),
        ("branch", "stacks", "vmap"),
    ],
)
def test_every_fault_breaks_a_promise(
    fault: str, promise: str, said: str, fading: type[Model], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fading, "fault", fault)
    done = command("check", "fading")
    assert done.returncode == 6 and states(done.stdout)[promise] == "broken", done.stdout
    assert said in next(line for line in done.stdout.splitlines() if f"broken: {promise}" in line)


def test_what_it_does_not_claim_is_not_asked(
    fading: type[Model], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fading, "fault", "kernel")
    done = command("check", "fading", "--set", "d_model=21")  # another shape: counts are kept
    assert states(done.stdout)["its cost is counted"] == "not asked"
    monkeypatch.setattr(fading, "fault", "branch")
    monkeypatch.setattr(fading, "stacks", False)
    assert states(command("check", "fading").stdout)["stacks"] == "not asked"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("check standard+nexus --set n_layers=3", "n_layers must be a multiple of 2 with standard+nexus, got 3"),
        ("check standard+nexus --set lr=3", "lr is not an option of standard+nexus; omit it"),
        ("check fading --set encoding=sequence", "encoding must be fact or flat, got sequence"),
        ("check standard+fading", "fading is a whole model and no layer of standard+fading; omit it"),
    ],
)
def test_a_wrong_line_is_one_line_of_error(line: str, said: str, fading: type[Model], command: Command) -> None:
    assert_fails(command(*line.split()), 3, said)


class Kind(StrEnum):
    ONE = "one"


def described(**fields: Any) -> type[AttentionOptions]:
    """Options with these types and defaults."""
    names = {name: Field(default=value, description="One.") for name, (_, value) in fields.items()}
    annotations = {"__annotations__": {name: kind for name, (kind, _) in fields.items()}}
    return type("Options", (AttentionOptions,), names | annotations | {"__module__": __name__})


class Required(AttentionOptions):
    width: int = Field(description="One.")


class Silent(AttentionOptions):
    width: int = 3


class Misspelt(AttentionOptions):
    always_named = ("widht",)
    width: int = Field(default=3, description="One.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Required, "option 'width' has no default"),
        (Silent, "option 'width' has no description"),
        (Misspelt, "names 'widht', which is no option"),
        (described(lr=(float, 0.1)), "option 'lr' is also a value"),  # of a recipe
        (described(seeds=(int, 1)), "option 'seeds' is also a value"),  # of a suite
        (described(n_val=(int, 1)), "option 'n_val' is also a value"),  # of a task
        (described(d_model=(int, 1)), "option 'd_model' is also a value"),  # of a model
        (described(accuracy=(float, 0.1)), "option 'accuracy' is also a value"),  # of a table
        (described(order=(str, "given")), "option 'order' must be of type int, as its column, got 'given'"),
        (described(share=(bool, True)), "option 'share' must be of type str, as its column, got True"),
        (described(sizes=(tuple[int, ...], (1, 2))), "read back, sizes: Input should be a valid"),
        (described(kind=(Kind, Kind.ONE)), "read back, kind: Input should be an instance of Kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_that_cannot_be_set_or_stored_are_told(
    options: type[AttentionOptions], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Standard, "Options", options)
    with pytest.raises(Broken, match=re.escape(said)):
        keeps_its_options(Standard, {}, taken_names())


@pytest.mark.parametrize("name", ATTENTIONS.own_names())
def test_every_mechanism_keeps_its_options(name: str) -> None:
    keeps_its_options(ATTENTIONS.get(name), {}, taken_names())
