"""Held-out losses of finished pretraining runs by model, with intervals over seeds."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nexus_bench.analysis.intervals import t_interval
from nexus_bench.errors import ConfigError, StorageError, UsageError
from nexus_bench.hf.pretrain_spec import PretrainSpec
from nexus_bench.hf.summary import SUMMARY, is_sealed, read_summary
from nexus_bench.io.config import read_config
from nexus_bench.io.files import check_listed
from nexus_bench.io.read_results import SPEC

_OF_A_MODEL = {"attention", "nexus", "layers", "shape", "seed"}  # of a spec; all else is equal in a comparison
_PLACES = {"text", "held_out", "tokenizer"}  # wherever these are: `content_sha256` tells what they hold
_HELD_OUT, _BITS = "held_out_loss", "bits_per_byte"


class Loss(NamedTuple):
    """One model, over its seeds.

    Attributes:
        arch: The shape that it has, or that its own shape is derived from.
        model: The model in words, with sizes that differ from those of the arch.
        seeds: Seeds, in their order.
        held_out_loss: Of a token of held-out text, nats, a mean over seeds.
        held_out_low: Lower end of its 95% t-interval; None for one seed.
        held_out_high: Its upper end.
        bits_per_byte: The same mean in bits for each byte of the text.
        difference: Of `held_out_loss` from the standard model of the same sizes, or else of those of the arch, a mean
            over the seeds that both have; None for the standard model, and where there is none.
        difference_low: Lower end of its 95% t-interval, paired by seed; None for one pair.
        difference_high: Its upper end.
        n_pairs: Seeds that both have.
        parameters: Trained numbers.
        flops_per_token: Operations of a pass there and back, as counted in the run of the first seed.
        tokens: Tokens trained on.
    """

    arch: str
    model: str
    seeds: list[int]
    held_out_loss: float
    held_out_low: float | None
    held_out_high: float | None
    bits_per_byte: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    n_pairs: int
    parameters: int
    flops_per_token: float
    tokens: int


class _Run(NamedTuple):
    """A finished run.

    Attributes:
        folder: Where it is.
        spec: What was trained.
        summary: What came of it.
    """

    folder: Path
    spec: PretrainSpec
    summary: dict[str, Any]


def losses(runs: Sequence[Path]) -> list[Loss]:
    """Read runs, and compare models of equal arch, text, tokens and recipe.

    Args:
        runs: Folders of `pretrain`, and folders of such folders. Runs that have not ended are left out.

    Raises:
        ConfigError: A spec is not one of `pretrain`.
        CorruptArtefactError: A summary is damaged.
        StorageError: There is no such folder, or one may not be read.
        UsageError: There is no finished run, two runs are of the same model and seed, or runs of one arch differ in
            more than the model and the seed.
    """
    found: dict[tuple[str, str], dict[int, _Run]] = {}
    others: dict[str, tuple[Path, dict[str, Any]]] = {}
    for folder in _finished(runs):
        spec, content, summary = _read(folder)
        first, equal = others.setdefault(spec.arch, (folder, {}))
        mine = {"content_sha256": content, **spec.model_dump(mode="json", exclude=_OF_A_MODEL | _PLACES)}
        if differing := [key for key in mine if equal.setdefault(key, mine[key]) != mine[key]]:
            key = differing[0]
            raise UsageError(
                f"{folder}: {key} is {mine[key]!r}, and {equal[key]!r} in {first}; such losses say nothing of models: "
                "name the runs that belong together"
            )
        model = _named(summary["model"], spec)
        seeds = found.setdefault((spec.arch, model), {})
        if other := seeds.get(spec.seed):
            raise UsageError(
                f"{folder}: is seed {spec.seed} of {spec.arch}: {model}, as is {other.folder}; name one of them"
            )
        seeds[spec.seed] = _Run(folder, spec, summary)
    return [_loss(arch, model, found) for arch, model in found]


def unsealed(runs: Sequence[Path]) -> list[Path]:
    """The finished runs among these whose summary has no seal, since an older version wrote it.

    Raises:
        StorageError: There is no such folder, or one may not be read.
        UsageError: There is no finished run.
    """
    return [folder for folder in _finished(runs) if not is_sealed(folder)]


def _finished(runs: Sequence[Path]) -> list[Path]:
    for run in runs:
        if not run.is_dir():
            raise StorageError(f"{run}: there is no such folder; give one that `nexus-bench pretrain` wrote")
        check_listed(run)
        check_listed(*(below for below in sorted(run.iterdir()) if below.is_dir()))
    folders = [path.parent for run in runs for path in sorted([*run.glob(SUMMARY), *run.glob(f"*/{SUMMARY}")])]
    if not folders:
        raise UsageError(f"{', '.join(map(str, runs))}: holds no finished run of `nexus-bench pretrain`")
    return list(dict.fromkeys(folders))


def _read(folder: Path) -> tuple[PretrainSpec, str, dict[str, Any]]:
    told = read_config(folder / SPEC)
    content = str(told.pop("content_sha256", None))
    try:
        spec = PretrainSpec.model_validate(told)
    except ValueError as error:
        raise ConfigError(f"{folder / SPEC}: is no spec of `nexus-bench pretrain`") from error
    needed = ("model", _HELD_OUT, _BITS, "parameters", "flops_per_token", "tokens")
    return spec, content, read_summary(folder, needed=needed)


def _named(model: str, spec: PretrainSpec) -> str:
    sizes = [f"{key} {value}" for key, value in spec.shape.items() if key != "intermediate_size"]
    return ", ".join([model, *sizes])


def _loss(arch: str, model: str, found: dict[tuple[str, str], dict[int, _Run]]) -> Loss:
    seeds = found[arch, model]
    numbers = sorted(seeds)
    first = seeds[numbers[0]]
    alike = _named("standard", first.spec)  # of the same sizes
    standard = next((found[arch, one] for one in (alike, "standard") if one != model and (arch, one) in found), {})
    both = [seed for seed in numbers if seed in standard]
    return Loss(
        arch,
        model,
        numbers,
        *_mean([seeds[seed].summary[_HELD_OUT] for seed in numbers]),
        _mean([seeds[seed].summary[_BITS] for seed in numbers])[0],
        *_mean([seeds[seed].summary[_HELD_OUT] - standard[seed].summary[_HELD_OUT] for seed in both]),
        len(both),
        *(first.summary[key] for key in ("parameters", "flops_per_token", "tokens")),
    )


def _mean(values: Sequence[float]) -> tuple[Any, Any, Any]:
    """A mean with its interval; None where there is none."""
    mean, low, high = (
        None if math.isnan(number) else number for number in t_interval(values, bounds=(-math.inf, math.inf))
    )
    return mean, low, high
