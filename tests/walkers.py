"""Weights set by hand that walk a graph: the constructions of docs/expressivity.md.

The model is the product's own `Transformer`. Names are one-hot, so that a fact is [S: source, D: destination] and a
query [S: start, D: hop count], each slot half of the width. Two heads, each as wide as a slot:

    forwards    a query reads S + GAIN D, a key S, a value D, written to D
    backwards   a query reads S,          a key D, a value S, written to S
"""

import torch
from torch import Tensor, nn

from nexus_bench.data.encodings import table_size
from nexus_bench.generators.base import Generator
from nexus_bench.model.build import build_model
from nexus_bench.model.scoring import score
from nexus_bench.model.spec import make_model
from nexus_bench.model.transformer import Transformer
from nexus_bench.streams import stream

GAIN = 4.0  # how much louder what was walked to is than where one was
SHARPNESS = 8.0
ANCHOR = 1e6  # of models in which many blocks write to the same stream
N_GRAPHS = 40


def walker(task: Generator, *, anchor: float = 0.0, **entry: object) -> Transformer:
    """A model that looks names up, without any weight set yet but the lookups and the readout.

    Args:
        task: What to walk in.
        anchor: Last coordinate of every slot. Far larger than what is written, it makes the norms before the blocks
            alike, so that each block can write louder than the one before.
        entry: The model.
    """
    n_rows = table_size(task.schema)
    width = n_rows + 1  # of a slot
    spec = make_model({"d_model": 2 * width, "n_heads": 2, "mlp_ratio": 1, **entry}, where="test")
    model = build_model(spec, task.schema, seq_len=1, seed=0)
    with torch.no_grad():
        for parameter in (*model.blocks.parameters(), *model.readout.parameters()):
            parameter.zero_()
        for block in model.blocks:
            block.attention_norm.weight.fill_(1.0)
        model.table.weight.copy_(torch.eye(n_rows, width))
        model.table.weight[:, -1] = anchor
        n_symbols = task.schema.n_classes
        model.readout.weight[:, width + 1 : width + 1 + n_symbols] = torch.eye(
            n_symbols
        )  # what D names; row 0 is the pad
    return model


def set_projections(model: Transformer, **matrices: Tensor) -> None:
    """Give every attention in the model the same matrices (input width, output width), by letter; `o` is W_O."""
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "packed"):
                for letter in module.letters:
                    matrix = matrices.get(letter)
                    if matrix is not None:
                        d = matrix.shape[1]
                        first = module.letters.index(letter) * d
                        module.packed.weight[first : first + d] = matrix.T
            out = getattr(module, "out", None)
            if isinstance(out, nn.Linear):
                out.weight.copy_(matrices["o"].T)


def blocks(ss: float = 0, sd: float = 0, ds: float = 0, dd: float = 0, *, width: int) -> Tensor:
    """A matrix from slots to slots, the anchors left out: `sd` copies what stands in S to D."""
    names = torch.eye(width)
    names[-1, -1] = 0
    return torch.kron(torch.tensor([[ss, sd], [ds, dd]]), names)


def walk_both_ways(model: Transformer) -> Transformer:
    """Both heads of the table above."""
    loud = _loudness(model)
    w = model.table.weight.shape[1]
    set_projections(
        model,
        q=SHARPNESS * loud * blocks(ss=1, sd=1, dd=GAIN, width=w),
        k=SHARPNESS * loud * blocks(ds=1, sd=1, width=w),
        v=GAIN * loud * blocks(ss=1, dd=1, width=w),
        o=blocks(ss=1, dd=1, width=w),
    )
    return model


def walk_forwards(model: Transformer) -> Transformer:
    """The same without the backwards head: it writes nothing."""
    loud = _loudness(model)
    w = model.table.weight.shape[1]
    set_projections(
        model,
        q=SHARPNESS * loud * blocks(sd=1, dd=GAIN, width=w),
        k=SHARPNESS * loud * blocks(sd=1, width=w),
        v=GAIN * loud * blocks(dd=1, width=w),
        o=blocks(dd=1, width=w),
    )
    return model


def _loudness(model: Transformer) -> float:
    """What undoes a norm that the anchor has made small."""
    anchor = model.table.weight[0, -1].item()
    return max(1.0, anchor / model.table.weight.shape[1] ** 0.5)


def walk_by_one_head(model: Transformer) -> Transformer:
    """A single head that looks up its source and writes the destination over it: queries and keys move together."""
    w = model.table.weight.shape[1]
    set_projections(
        model,
        q=SHARPNESS * blocks(ss=1, width=w),
        k=SHARPNESS * blocks(ss=1, width=w),
        v=GAIN * blocks(ds=1, width=w),
        o=GAIN * blocks(sd=1, width=w),
    )
    return model


def point_back(model: Transformer) -> Transformer:
    """One head in which a fact points at the fact before it, and a query at its own: D against D scores low."""
    w = model.table.weight.shape[1]
    set_projections(
        model,
        q=SHARPNESS * blocks(ss=1, dd=1, width=w),
        k=SHARPNESS * blocks(ss=2, ds=1, dd=-5, width=w),
        v=GAIN * blocks(dd=1, width=w),
        o=GAIN * blocks(dd=1, width=w),
    )
    return model


def walk_alike(model: Transformer) -> Transformer:
    """Both heads look where their D names, and copy the slot that is theirs; with `mirrored`, keys walk backwards."""
    w = model.table.weight.shape[1]
    set_projections(
        model,
        q=SHARPNESS * blocks(ss=1, sd=1, ds=GAIN, dd=GAIN, width=w),
        k=SHARPNESS * blocks(ss=1, sd=1, width=w),
        v=GAIN * blocks(ss=1, dd=1, width=w),
        o=blocks(ss=1, dd=1, width=w),
    )
    return model


def walk_in_the_first_head(model: Transformer) -> Transformer:
    """As `walk_forwards`, in the other head, which is the one that `half_mirrored` mirrors."""
    w = model.table.weight.shape[1]
    set_projections(
        model,
        q=SHARPNESS * blocks(ss=1, ds=GAIN, width=w),
        k=SHARPNESS * blocks(ss=1, width=w),
        v=GAIN * blocks(ds=1, width=w),
        o=blocks(sd=1, width=w),
    )
    return model


def look_up_itself(model: Transformer) -> Transformer:
    """One head in which queries are alike if their slots are, and look for a key whose S is their D."""
    w = model.table.weight.shape[1]
    set_projections(
        model,
        q=SHARPNESS * blocks(ss=1, dd=1, width=w),
        k=SHARPNESS * blocks(sd=1, width=w),
        v=GAIN * blocks(dd=1, width=w),
        o=GAIN * blocks(dd=1, width=w),
    )
    return model


def accuracy(model: Transformer, task: Generator) -> dict[int, float]:
    """By hop, on graphs nobody chose."""
    examples = task.sample(N_GRAPHS, stream("walkers"))
    return {hop: at.accuracy for hop, at in score(model, examples, task.schema, "fact").items()}
