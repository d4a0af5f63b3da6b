"""One cell of a retrofit: a method at one learning rate and seed, trained, and asked every split."""

import copy
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, PreTrainedModel

from nexus_bench.experiment.environment import machine_and_versions
from nexus_bench.experiment.records import CellResult
from nexus_bench.hf.apply import apply_nexus
from nexus_bench.hf.library import quiet, told_if_unwritten
from nexus_bench.hf.likelihood import answer_loss, collate_answers, score
from nexus_bench.hf.pretrained import Pretrained
from nexus_bench.hf.questions import Material, in_order
from nexus_bench.hf.retrofit_spec import UNTOUCHED, Method, Recipe
from nexus_bench.hf.tokens import EncodedQuestion
from nexus_bench.hf.training import Pace, train_in_order, training_arguments
from nexus_bench.io.columns import FAILED, FORMAT_VERSION, TRAIN, VAL, Row
from nexus_bench.io.config import Config
from nexus_bench.io.files import sha256
from nexus_bench.io.options import OPTION_COLUMNS, options_text

_HAVE_COLUMNS = ("steps", "batch_size", "lr")
_OF_CHOICE = ("tune_seeds", "n_val", "n_test", "micro_batch", "view")  # no part of what is trained


class RetrofitCell(NamedTuple):
    """One cell.

    Attributes:
        method: What is done with the model.
        lr: Peak learning rate; None where nothing is trained.
        seed: Fixes the order of the examples.
    """

    method: Method
    lr: float | None
    seed: int


class RetrofitSetting(NamedTuple):
    """What all cells of a retrofit share.

    Attributes:
        model: The pretrained model.
        material: What it is trained on and asked.
        encoded: Split -> its questions as tokens.
        recipe: How it is trained.
        device: `cpu` or `cuda`.
    """

    model: Pretrained
    material: Material
    encoded: Mapping[str, list[EncodedQuestion]]
    recipe: Recipe
    device: str

    def label(self, cell: RetrofitCell) -> str:
        """The method in a few words."""
        return cell.method.label(self.model.config.num_hidden_layers)

    def cell_id(self, cell: RetrofitCell) -> str:
        """16 hexadecimal digits: a hash of everything that its results depend on."""
        content = {
            "format": FORMAT_VERSION,
            "model": self.model.sha256,
            "material": self.material.identity,
            "recipe": self.recipe.model_dump(mode="json", exclude={"lr", "tune_seeds"}),
            "method": cell.method.model_dump(mode="json"),
            "lr": cell.lr,
            "seed": cell.seed,
        }
        return sha256(json.dumps(content, sort_keys=True).encode())[:16]


def run_cell(
    cell: RetrofitCell,
    setting: RetrofitSetting,
    *,
    states: Path,
    save_every: float,
    environment: int,
    keep: Path | None,
) -> CellResult:
    """Train a cell, from its last saved state if it has one, and score every split but that of training.

    Args:
        cell: The cell.
        setting: What all cells share.
        states: Folder of its saved states.
        save_every: Seconds between saved states.
        environment: Number of the entry of env.json.
        keep: Where the trained model and its tokenizer are written; None keeps nothing.

    Raises:
        StorageError: A saved state or the model cannot be written, as on a full disk.
    """
    model = nested(setting.model.load(), cell.method)
    pace = Pace(0, 0.0)
    begun = time.perf_counter()
    if cell.lr is not None:
        pace = _train(model, cell, setting, states, save_every)
    model.to(setting.device).eval()
    rows = _rows(model, cell, setting)
    if keep is not None:
        with quiet(), told_if_unwritten(keep):
            model.save_pretrained(keep)
            setting.model.tokenizer.save_pretrained(keep)
    own = {name: rows[0][name] for name in ("cell_id", "model", "seed")}
    curve = [
        own | {"step": row["steps_done"], "hop": row["hop"], "accuracy": row["accuracy"], "loss": row["loss"]}
        for row in rows
        if row["split"] == VAL
    ]
    timing = own | {"device": setting.device, "mode": rows[0]["mode"], "environment": environment}
    timing["train_seconds"] = time.perf_counter() - begun
    timing["steps_per_second"] = pace.steps / pace.seconds if pace.steps else None
    return CellResult(own["cell_id"], rows, curve, timing, None)


def without_figures(result: CellResult) -> CellResult | None:
    """What is told of a cell whose loss is not a number; None where all losses are numbers."""
    if not any(math.isnan(row["loss"]) for row in result.rows):
        return None
    figures = dict.fromkeys(("n_examples", "n_correct", "accuracy", "loss"))
    return result._replace(rows=[row | figures | {"status": FAILED} for row in result.rows], curve=[])


def nested(model: PreTrainedModel, method: Method) -> PreTrainedModel:
    """The model as a method has it, changed in place."""
    if (reading := method.reading) is not None:
        options = reading.options.model_dump()
        apply_nexus(model, options.pop("order"), layers=reading.layers, gate=reading.gate, **options)
    return model


def flops_per_step(method: Method, setting: RetrofitSetting) -> int:
    """Operations of the matrix products of a training step, for prompts as long as the first ones of the training data.

    They are counted on tensors without values, so they are the same on every device. Attention counts as it is written:
    every token with every token.
    """
    recipe = setting.recipe
    config = copy.deepcopy(setting.model.config)
    with torch.device("meta"), quiet():
        model = nested(AutoModelForCausalLM.from_config(config, attn_implementation="eager"), method)
    batch = collate_answers(setting.encoded[TRAIN][: recipe.micro_batch])
    shape = batch["input_ids"].shape
    batch["mask"] = torch.zeros(shape[0], 1, shape[1], shape[1], device="meta")  # the library would look into its own
    with FlopCounterMode(display=False) as counter:
        loss: Any = answer_loss(model, {name: value.to("meta") for name, value in batch.items()})
        loss.backward()
    return int(counter.get_total_flops()) * (recipe.batch_size // recipe.micro_batch)


def _train(model: nn.Module, cell: RetrofitCell, setting: RetrofitSetting, states: Path, save_every: float) -> Pace:
    recipe, train = setting.recipe, setting.encoded[TRAIN]
    assert cell.lr is not None
    arguments = training_arguments(
        states,
        device=setting.device,
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        micro_batch=recipe.micro_batch,
        lr=cell.lr,
        warmup_steps=round(recipe.warmup * recipe.steps),
        clip_norm=recipe.clip_norm,
        seed=cell.seed,
    )
    model.to(setting.device)  # before the optimiser takes its parameters
    order = in_order(len(train), recipe.steps * recipe.batch_size, cell.seed)
    with quiet():
        return train_in_order(
            model,
            [train[i] for i in order],
            arguments,
            loss=answer_loss,
            collate=collate_answers,
            optimizer=_optimizer(model, cell.lr, recipe),
            save_every=save_every,
        )


def _optimizer(model: nn.Module, lr: float, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW. Gates have a rate of their own: at that of a matrix, one number that starts at 0 stays close to it."""
    named = list(model.named_parameters())
    gates = [p for name, p in named if name.endswith(".gate")]
    others = [p for name, p in named if not name.endswith(".gate")]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in others if p.ndim < 2]},
        {"params": gates, "lr": recipe.gate_lr},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, weight_decay=0.0)


def _rows(model: nn.Module, cell: RetrofitCell, setting: RetrofitSetting) -> list[Row]:
    """The rows of results.csv, validation first."""
    common = _describe(model, cell, setting)
    rows = []
    for split in sorted(setting.material.columns, key=lambda split: split != VAL):  # stable
        asked = setting.encoded[split]
        told = score(model, asked, device=setting.device)
        for hop in sorted({one.hop for one in asked}):
            here = [answer for one, answer in zip(asked, told, strict=True) if one.hop == hop]
            n_correct = sum(answer.is_right for answer in here)
            measured = {"n_examples": len(here), "n_correct": n_correct, "accuracy": n_correct / len(here)}
            measured["loss"] = sum(answer.loss for answer in here) / len(here)
            beside = setting.material.columns[split] | setting.material.references[split][hop]
            rows.append(common | {"split": split, "hop": hop} | measured | beside)
    return rows


def _describe(model: nn.Module, cell: RetrofitCell, setting: RetrofitSetting) -> Row:
    """The columns that all rows of a cell share."""
    config, recipe, reading = setting.model.config, setting.recipe, cell.method.reading
    options: Config = {} if reading is None else reading.options.given()
    others = {key: value for key, value in options.items() if key not in OPTION_COLUMNS}
    if reading is not None:
        others |= {"gate": reading.gate, "layers": reading.layers}
    is_trained = cell.method.kind != UNTOUCHED
    trained_by = recipe.model_dump(mode="json", exclude={*_HAVE_COLUMNS, *_OF_CHOICE}) if is_trained else {}
    return {
        "cell_id": setting.cell_id(cell),
        "encoding": "text",
        "attention": "standard" if reading is None else "nexus",
        **{name: options.get(name) for name in OPTION_COLUMNS},
        "order": options.get("order", 1),
        "position": "rope",
        "mask": "causal",
        "n_layers": config.num_hidden_layers,
        "n_loops": 1,
        "d_model": config.hidden_size,
        "n_heads": config.num_attention_heads,
        "lr": cell.lr,
        "batch_size": recipe.batch_size,
        "steps": recipe.steps,
        "steps_done": recipe.steps if is_trained else 0,
        "reuse": 1,
        "curriculum": "none",
        "mode": "bfloat16" if setting.device == "cuda" else "single",
        "seed": cell.seed,
        "flops_per_step": flops_per_step(cell.method, setting),
        "n_params": sum(p.numel() for p in model.parameters()),
        "status": "trained",
        "version": machine_and_versions(setting.device)["nexus_bench"],
        "model": setting.label(cell),
        "attention_options": options_text(others),
        "recipe_options": options_text(trained_by),
        "model_options": options_text({"pretrained": setting.model.name, "view": recipe.view}),
    }
