"""How likely a language model finds answers: batched, and computed only at the tokens of the answers.

Axis letters: b rows, n tokens, d width of the model, v vocabulary, a places at which a token of an answer is predicted.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nexus_bench.hf.library import in_precision
from nexus_bench.hf.tokens import EncodedQuestion

_TOKENS = 16_384  # of a batch that is scored


class ScoredQuestion(NamedTuple):
    """One question, answered.

    Attributes:
        is_right: The answer is the likeliest choice, the first of equals; without choices: it is what greedy decoding
            writes.
        loss: Minus the logarithm of its likelihood, nats.
    """

    is_right: bool
    loss: float


class _Row(NamedTuple):
    """A sequence that goes through the model: a context and what follows in the longest continuations.

    Attributes:
        question: Number of its question.
        tokens: The sequence.
        asked: Which continuations are read from it.
    """

    question: int
    tokens: list[int]
    asked: list[int]


def answer_loss(model: nn.Module, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
    """Cross-entropy of the tokens of each answer, as a mean over these and then over the examples.

    Args:
        model: A language model.
        batch: What `collate_answers` makes; with a `mask` (b, 1, n, n) to add to scores, instead of the model's own.
    """
    logits = _logits_at(model, batch["input_ids"], batch["row"], batch["place"], batch.get("mask"))
    each = cross_entropy(logits.float(), batch["token"], reduction="none")
    loss: Tensor = (each * batch["weight"]).sum()
    return loss


def collate_answers(examples: Sequence[EncodedQuestion]) -> dict[str, Tensor]:
    """A batch: sequences padded on the right, and the places where tokens of answers are predicted.

    A causal model sees nothing of the padding, so there is no mask.
    """
    row, place, token, weight = [], [], [], []
    for number, one in enumerate(examples):
        for step, wanted in enumerate(one.answer):
            row.append(number)
            place.append(len(one.context) - 1 + step)
            token.append(wanted)
            weight.append(1 / len(one.answer) / len(examples))
    made = {name: torch.tensor(values) for name, values in (("row", row), ("place", place), ("token", token))}
    ids = _padded([one.context + one.answer[:-1] for one in examples])
    return made | {"weight": torch.tensor(weight), "input_ids": ids}


@torch.no_grad()
def score(model: nn.Module, questions: Sequence[EncodedQuestion], *, device: str) -> list[ScoredQuestion]:
    """Answer questions as lm-eval answers multiple choice: by the summed log-likelihood of the tokens of a choice.

    Args:
        model: A language model in evaluation mode, on the device.
        questions: The questions.
        device: `cpu` or `cuda`.
    """
    rows = [row for number, one in enumerate(questions) for row in _rows(number, one)]
    told: dict[tuple[int, int], tuple[float, bool]] = {}
    rows.sort(key=lambda row: -len(row.tokens))  # stable: the same batches every time
    start = 0
    while start < len(rows):
        part = rows[start : start + max(1, _TOKENS // len(rows[start].tokens))]
        start += len(part)
        told |= _likelihoods(model, questions, part, device)
    return [_scored([told[number, i] for i in range(len(_asked(one)))], one) for number, one in enumerate(questions)]


def _asked(question: EncodedQuestion) -> tuple[list[int], ...]:
    return question.choices or (question.answer,)


def _rows(number: int, question: EncodedQuestion) -> list[_Row]:
    """As few sequences as tell all continuations: what continues another one's beginning is read from it."""
    asked = _asked(question)
    tails: dict[tuple[int, ...], list[int]] = {}
    for i in sorted(range(len(asked)), key=lambda i: -len(asked[i])):
        tail = tuple(asked[i][:-1])
        longer = next((known for known in tails if known[: len(tail)] == tail), tail)
        tails.setdefault(longer, []).append(i)
    return [_Row(number, [*question.context, *tail], which) for tail, which in tails.items()]


def _likelihoods(
    model: nn.Module, questions: Sequence[EncodedQuestion], rows: Sequence[_Row], device: str
) -> dict[tuple[int, int], tuple[float, bool]]:
    """(question, continuation) -> its log-likelihood, and whether greedy decoding writes it."""
    keys, lengths = [], []
    place_of: dict[tuple[int, int], int] = {}  # each place once, however many continuations ask there
    at, token = [], []
    for number, row in enumerate(rows):
        question = questions[row.question]
        for which in row.asked:
            wanted = _asked(question)[which]
            keys.append((row.question, which))
            lengths.append(len(wanted))
            for step, one in enumerate(wanted):
                at.append(place_of.setdefault((number, len(question.context) - 1 + step), len(place_of)))
                token.append(one)
    ids = _padded([row.tokens for row in rows]).to(device)
    where = torch.tensor(list(place_of), device=device)
    with in_precision(device):
        logits = _logits_at(model, ids, where[:, 0], where[:, 1])
    told = logits.float().log_softmax(-1)
    wanted_at, wanted_tokens = torch.tensor(at, device=device), torch.tensor(token, device=device)
    each = told[wanted_at, wanted_tokens].double().tolist()
    greedy = (told.argmax(-1)[wanted_at] == wanted_tokens).tolist()
    ends = list(itertools.accumulate(lengths))
    sums = [(math.fsum(each[end - n : end]), all(greedy[end - n : end])) for n, end in zip(lengths, ends, strict=True)]
    return dict(zip(keys, sums, strict=True))


def _scored(told: Sequence[tuple[float, bool]], question: EncodedQuestion) -> ScoredQuestion:
    if not question.choices:
        return ScoredQuestion(told[0][1], -told[0][0])
    likelihoods = [likelihood for likelihood, _ in told]
    is_number = all(likelihood == likelihood for likelihood in likelihoods)  # of a model that diverged it is not
    best = likelihoods.index(max(likelihoods)) if is_number else -1
    return ScoredQuestion(best == question.label, -likelihoods[question.label])


def _logits_at(
    model: Any, ids: Int[Tensor, "b n"], row: Int[Tensor, " a"], place: Int[Tensor, " a"], mask: Tensor | None = None
) -> Float[Tensor, "a v"]:
    """The logits at these places alone; those of a whole prompt would not fit into memory."""
    states = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    logits: Tensor = model.get_output_embeddings()(states[row, place])
    return logits


def _padded(sequences: Sequence[list[int]]) -> Int[Tensor, "b n"]:
    longest = max(map(len, sequences))
    return torch.tensor([[*tokens, *[0] * (longest - len(tokens))] for tokens in sequences])
