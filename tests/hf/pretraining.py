"""Text and settings for pretraining runs that take a second."""

from pathlib import Path

from nexus_bench.hf.pretrain_spec import PretrainSpec, make_asked

SHAPE = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2}
SIZES = {**SHAPE, "seq_len": 16, "batch_size": 4, "vocab_size": 300}
TOY = [word for key, value in SIZES.items() for word in ("--set", f"{key}={value}")]
TOY += ["--set", "documents=line", "--set", "evaluations=2", "--set", "samples=1", "--device", "cpu"]
PLACES = ("river", "hill", "market", "harbour", "garden", "tower", "mill")
PEOPLE = ("Ada", "Ben", "Cleo", "Dan", "Eve")


def write_text(path: Path, n: int = 60, first: int = 0) -> Path:
    """One document a line, no two alike."""
    lines = [
        f"{PEOPLE[i % 5]} walked {i} miles from the {PLACES[i % 7]} to the {PLACES[i * 3 % 7]}, "
        f"and {PEOPLE[i * 2 % 5]} waited {i % 13} days.\n"
        for i in range(first, first + n)
    ]
    path.write_text("".join(lines))
    return path


def spec_of(arch: str = "pythia-14m", **values: object) -> PretrainSpec:
    return make_asked({"arch": arch, **values}, lr_of_arch=1e-3).spec
