"""Mean ablation: does the answer need the attention of a query to one fact?

Axis letters: b graphs, q queries, h heads, n positions, k keys, c classes.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nexus_bench.inspection.recording import answer_with
from nexus_bench.model.batch import Batch
from nexus_bench.model.transformer import Transformer


def answers_without(
    model: Transformer, batch: Batch, *, number: int, fact: Int[Tensor, "b q"], width: int
) -> Int[Tensor, "b q"]:
    """The answers of a model if, in one pass, every head of a query treats one fact like the average of the others.

    In every head, the weight of the query on that fact is replaced by the mean of its weights on the others, whether
    that is more or less; then the weights are normalised to sum to one. If the fact had all the weight, all positions
    get equal weights. Nothing else changes.

    Args:
        model: The model, in evaluation mode.
        batch: Its input.
        number: Number of the pass, as in `recording.record`.
        fact: The fact of each query; -1 leaves the query as it is.
        width: Positions per fact; those of fact f begin at f * width.
    """
    b, n = batch.tokens.shape[:2]
    allowed = batch.layout.allowed(n, device=batch.tokens.device)
    key = torch.arange(allowed.shape[1], device=batch.tokens.device)
    is_fact = torch.zeros(b, n, len(key), dtype=torch.bool, device=batch.tokens.device)
    is_fact[:, batch.read_at[0]] = (key // width == fact[..., None]) & (fact[..., None] >= 0)

    def edit(at: int, weights: Tensor) -> Tensor:
        return _mean_ablated(weights, is_fact, allowed) if at == number else weights

    return answer_with(model, batch, edit).argmax(dim=-1)


def _mean_ablated(
    weights: Float[Tensor, "b h n k"], is_fact: Bool[Tensor, "b n k"], allowed: Bool[Tensor, "n k"]
) -> Float[Tensor, "b h n k"]:
    """Weights with the mean of the others on the keys of a fact; for pairs, on those with either member in the fact."""
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
