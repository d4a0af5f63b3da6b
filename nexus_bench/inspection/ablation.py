"""Does the answer need that a query attends to a fact? Take the attention away, and see.

Axis letters: b graphs, q queries, h heads, n positions, k keys, c classes.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nexus_bench.inspection.recording import answer_with
from nexus_bench.model.scoring import Batch
from nexus_bench.model.transformer import Transformer


def answers_without(
    model: Transformer, batch: Batch, *, number: int, fact: Int[Tensor, "b q"], width: int
) -> Int[Tensor, "b q"]:
    """What a model answers if, in one pass, no head of a query tells a fact from the others.

    The query gives that fact the mean of what it gives the others, in every head, whether it was more or less, and what
    it gives is made to sum to one again; where it gave all to that fact, it gives all alike. All else stays.

    Args:
        model: In evaluation mode.
        batch: What it is given.
        number: Of the pass, as in `recording.record`.
        fact: The fact of each query; -1 leaves the query as it is.
        width: Positions a fact; those of fact f begin at f * width.
    """
    b, n = batch.tokens.shape[:2]
    allowed = batch.layout.allowed(n, device=batch.tokens.device)
    key = torch.arange(allowed.shape[1], device=batch.tokens.device)
    is_fact = torch.zeros(b, n, len(key), dtype=torch.bool, device=batch.tokens.device)
    is_fact[:, batch.read_at] = (key // width == fact[..., None]) & (fact[..., None] >= 0)

    def edit(at: int, weights: Tensor) -> Tensor:
        return _mean_ablated(weights, is_fact, allowed) if at == number else weights

    return answer_with(model, batch, edit).argmax(dim=-1)


def _mean_ablated(
    weights: Float[Tensor, "b h n k"], is_fact: Bool[Tensor, "b n k"], allowed: Bool[Tensor, "n k"]
) -> Float[Tensor, "b h n k"]:
    """Weights in which the keys of a fact get the mean of the others; over pairs, those with either member in it."""
    if weights.shape[-1] != is_fact.shape[-1]:
        is_fact = (is_fact[..., :, None] | is_fact[..., None, :]).flatten(-2)
        allowed = (allowed[..., :, None] & allowed[..., None, :]).flatten(-2)
    is_other = (~is_fact & allowed)[:, None]
    mean = (weights * is_other).sum(dim=-1, keepdim=True) / is_other.sum(dim=-1, keepdim=True).clamp(min=1)
    level = torch.where((is_fact & allowed)[:, None], mean, weights)
    total = level.sum(dim=-1, keepdim=True)
    alike = allowed / allowed.sum(dim=-1, keepdim=True)
    level = torch.where(total > 0, level / total.clamp(min=torch.finfo(level.dtype).tiny), alike.to(level.dtype))
    return torch.where(is_fact.any(dim=-1)[:, None, :, None], level, weights)
