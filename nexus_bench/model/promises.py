"""What every model promises, whole or in layers, and what the options of a mechanism promise; functions that check it.

A model is made as suites make it and asked on a small task; it computes in float32 on the CPU.
"""

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import torch
from pydantic import ValidationError
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from nexus_bench.attention.base import ATTENTIONS, AttentionOptions, Mechanism
from nexus_bench.attention.promise_inputs import D_MODEL, N_HEADS, same
from nexus_bench.attention.promises import Broken, NotAsked, PromiseResult, check_promise
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.io.columns import COLUMNS
from nexus_bench.io.config import Config
from nexus_bench.io.options import OPTION_COLUMNS
from nexus_bench.model.batch import Batch, to_batch
from nexus_bench.model.build import build_model, check_encodings, load_model, weights_of
from nexus_bench.model.contract import Model
from nexus_bench.model.costs import cost_of
from nexus_bench.model.scoring import losses_of
from nexus_bench.model.spec import ModelSpec, make_model
from nexus_bench.streams import stream

OPTIONS = "options are described, have names of their own and are stored whole"
_TASK = make_task({"task": "pointer_chase", "hops": [1, 2], "n_nodes": 7, "n_queries": 3}, where="check")
_SCHEMA = _TASK.law().schema
_N_GRAPHS = 4
_MOST = 1e-5  # that numbers which should be the same may differ


def small_model(mechanism: type[Mechanism[Any]], entry: Config) -> ModelSpec:
    """The shape that is asked.

    Args:
        mechanism: A hybrid or a whole model, or an attention.
        entry: Options, and values of the shape that are to be others.

    Raises:
        ConfigError: A key is unknown, or a value is not allowed.
    """
    usual: Config = {"d_model": D_MODEL, "n_heads": N_HEADS, "n_layers": len(mechanism.layers())}
    usual["encoding"] = "fact" if mechanism.takes_sets else "flat"
    spec = make_model({"attention": mechanism.name, **usual, **entry}, where="check")
    check_encodings([spec], _TASK, where="check")
    return spec


def gives_scores(spec: ModelSpec) -> None:
    """A finite score for every class, query and graph, and a finite loss."""
    model, batch = _built(spec), _batch(spec)
    scores = model(batch)
    wanted = (*batch.answer.shape, _SCHEMA.n_classes)
    if scores.shape != wanted:
        raise Broken(f"{wanted[0]} graphs, {wanted[1]} queries and {wanted[2]} classes got shape {tuple(scores.shape)}")
    if not (scores.isfinite().all() and losses_of(scores, batch.answer).isfinite().all()):
        raise Broken("a score or a loss is not finite")


def learns_by_finite_gradients(spec: ModelSpec) -> None:
    """Every parameter gets a finite gradient in training."""
    model = _built(spec).train()
    _loss(model, _batch(spec)).backward()  # type: ignore[no-untyped-call]
    for name, one in model.named_parameters():
        if one.grad is None or not one.grad.isfinite().all():
            raise Broken(f"the gradient of {name} is missing or not finite")


def keeps_graphs_apart(spec: ModelSpec) -> None:
    """Other examples in the batch change no score of a graph."""
    model, batch = _built(spec), _batch(spec)
    others = batch.tokens.clone()
    others[1:] = batch.tokens[:1]
    with torch.no_grad():
        same(
            model(batch._replace(tokens=others))[0], model(batch)[0], "scores of a graph among other graphs", most=_MOST
        )


def reads_where_it_is_asked(spec: ModelSpec) -> None:
    """Scores are those of the positions that a batch names, also where each graph names its own, in any order."""
    model, batch = _built(spec), _batch(spec)
    read_at = batch.read_at.repeat(_N_GRAPHS, 1)
    read_at[1:] = read_at[1:].flip(1)
    with torch.no_grad():
        wanted, scores = model(batch), model(batch._replace(read_at=read_at))
    wanted[1:] = wanted[1:].flip(1)
    same(scores, wanted, "scores of graphs that are read at positions of their own", most=_MOST)


def is_saved_whole(spec: ModelSpec) -> None:
    """Its parameters and buffers alone bring it back."""
    model, batch = _built(spec, seed=1), _batch(spec)
    again = load_model(spec, _SCHEMA, weights_of(model)).eval()
    with torch.no_grad():
        same(again(batch), model(batch), "scores of a model that was saved and loaded", most=_MOST)


def stacks(spec: ModelSpec) -> None:
    """Losses and gradients of several models, mapped by `torch.func.vmap`, are those of each alone."""
    if not ATTENTIONS.get(spec.attention).stacks:
        raise NotAsked("stacks is False: every cell is trained by itself")
    models, batch = [_built(spec, seed=seed) for seed in range(3)], _batch(spec)
    weights = {name: torch.stack([m.get_parameter(name) for m in models]) for name, _ in models[0].named_parameters()}
    buffers = {name: torch.stack([m.get_buffer(name) for m in models]) for name, _ in models[0].named_buffers()}

    def loss(weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return losses_of(functional_call(models[0], (weights, buffers), (batch,)), batch.answer).mean()

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")  # for some operations
        gradients, losses = vmap(grad_and_value(loss))({n: w.detach() for n, w in weights.items()}, buffers)
    for number, model in enumerate(models):
        alone = _loss(model, batch)
        alone.backward()  # type: ignore[no-untyped-call]
        same(losses[number], alone.detach(), f"the loss of model {number}", most=_MOST)
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                same(gradients[name][number], parameter.grad, f"the gradient of {name} of model {number}", most=_MOST)


def counts_its_cost(spec: ModelSpec) -> None:
    """Its operations can be counted without computing."""
    if not cost_of(spec, _TASK).compute:
        raise NotAsked("it does not run on tensors without content, or does nothing that PyTorch counts")


PROMISES: dict[str, Callable[[ModelSpec], None]] = {
    "scores and losses have their shape and are finite": gives_scores,
    "gradients are finite": learns_by_finite_gradients,
    "graphs of a batch do not see each other": keeps_graphs_apart,
    "each graph is read at its own positions": reads_where_it_is_asked,
    "saved and loaded, it answers the same": is_saved_whole,
    "stacks": stacks,
    "its cost is counted": counts_its_cost,
}


def check(spec: ModelSpec, *, explain: Callable[[Exception], str]) -> Iterator[PromiseResult]:
    """Check all promises of a model.

    Args:
        spec: What `small_model` gives.
        explain: One line about an error that its code raised.
    """
    for promise, function in PROMISES.items():
        yield check_promise(promise, lambda function=function: function(spec), explain=explain)  # type: ignore[misc]


def keeps_its_options(mechanism: type[Mechanism[Any]], entry: Config, taken: Collection[str]) -> None:
    """Each option has a default, a description and a name of its own; a model's options come back from what is stored.

    Args:
        mechanism: Any mechanism.
        entry: As in `small_model`.
        taken: The names by which `--set` finds values of suites, models and recipes.
    """
    columns = {column.name: column.dtype for column in COLUMNS}
    fields = mechanism.Options.model_fields
    for name, field in fields.items():
        if field.is_required() or not field.description:
            raise Broken(f"option '{name}' has no {'default' if field.is_required() else 'description'}; give it one")
        if name in (*taken, *TaskSpec.model_fields) or (name in columns and name not in OPTION_COLUMNS):
            raise Broken(f"option '{name}' is also a value of a suite or a column of results.csv; rename it")
    if unknown := sorted({*mechanism.Options.always_named, *mechanism.Options.later} - set(fields)):
        raise Broken(f"`always_named` or `later` names '{unknown[0]}', which is no option; correct it")
    spec = small_model(mechanism, entry)
    for name in set(OPTION_COLUMNS) & set(spec.options):
        kind, value = {"Int64": int}.get(columns[name], str), spec.options[name]
        if value is not None and type(value) is not kind:
            raise Broken(f"option '{name}' must be of type {kind.__name__}, as its column, got {value!r}; rename it")
    try:
        again = ModelSpec.model_validate_json(spec.model_dump_json())
        stored: AttentionOptions = mechanism.own_options(again.options)
    except ValidationError as error:
        found = error.errors()[0]
        raise Broken(f"stored as JSON and read back, {'.'.join(map(str, found['loc']))}: {found['msg']}") from error
    if again != spec or stored != mechanism.own_options(spec.options):
        raise Broken(f"options {spec.options} are stored as JSON, and read back as {again.options}")


def _batch(spec: ModelSpec) -> Batch:
    return to_batch(_TASK.law().sample(_N_GRAPHS, stream("check")), _SCHEMA, spec.encoding, torch.device("cpu"))


def _built(spec: ModelSpec, *, seed: int = 0) -> Model:
    return build_model(spec, _SCHEMA, seq_len=_batch(spec).seq_len, seed=seed).eval()


def _loss(model: Model, batch: Batch) -> Tensor:
    return losses_of(model(batch), batch.answer).mean()


def values_not_asked(mechanism: type[Mechanism[Any]], options: Mapping[str, Any]) -> list[str]:
    """Settings that ask an option of few values for another one than a check did: `compare=self`, one per option.

    Args:
        mechanism: Any mechanism.
        options: Those that were checked; the others were at their defaults.
    """
    found = []
    for name, field in mechanism.Options.model_fields.items():
        values = (True, False) if field.annotation is bool else get_args(field.annotation)
        is_closed = field.annotation is bool or get_origin(field.annotation) is Literal
        others = [value for value in values if value != options.get(name, field.default)] if is_closed else []
        found += [f"{name}={str(others[0]).lower() if field.annotation is bool else others[0]}"] if others else []
    return found
