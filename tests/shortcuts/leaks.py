"""Families with a planted leak, each about .05 above a ceiling or more, and whether an audit catches it."""

from typing import Any, NamedTuple
from unittest import mock

from nexus_bench.data.task import make_task
from nexus_bench.errors import CheckFailedError
from nexus_bench.generators.base import Generator
from nexus_bench.generators.pointer_chase import PointerChaseParams
from nexus_bench.shortcuts.audit import audit
from nexus_bench.text.render import TextRenderer
from tests.shortcuts.planted import (
    OutspokenRenderer,
    SortingRenderer,
    Tally,
    answer_has_the_lowest_id,
    answer_stands_first,
    back_to_the_start,
    coloured,
    colours_tell,
    frequent_numbers,
    label_of_fewer_hops,
    leaky,
    many_lead_to_the_answer,
    one_fact_joins_answer_and_start,
    prefer,
    query_word_tells,
    second_number_repeats_the_first,
    sorted_if_yes,
    steps_stand_together,
    swapped_only,
    walk_leads_back,
)


class Leak(NamedTuple):
    """A family with a leak, the same without, and a reader that finds it; with `size_ood`, training has no leak."""

    law: Generator
    clean: Generator
    found_by: str
    split: str = "iid"
    joint: bool = False
    renderer: type[TextRenderer] = TextRenderer


def beaten_by(leak: Leak, *, seed: int, n_graphs: int, clean: bool = False) -> set[str]:
    """The readers that beat the family, with or without its leak; `solve` if it finds wrong labels."""
    law = leak.clean if clean else leak.law
    others = {} if leak.split == "iid" else {leak.split: law}
    told = TextRenderer if clean else leak.renderer
    try:
        with mock.patch("nexus_bench.shortcuts.english.TextRenderer", told):
            first, english = leak.clean if others else law, leak.renderer is not TextRenderer
            options = {"joint": leak.joint, "english": english, "rounds": 20}
            rows = audit(first, n_graphs=n_graphs, seed=seed, others=others, **options)
    except CheckFailedError:
        return {"solve"}
    return {row.reader for row in rows if row.above}


def _family(name: str, hops: str = "2", **settings: Any) -> Generator:
    return make_task({"task": name, "hops": hops, "n_queries": 1} | settings, where="test").generator()


def _leaks() -> dict[str, Leak]:
    chase, larger = _family("pointer_chase"), _family("pointer_chase", n_nodes=24)
    reach, chains = _family("reachable"), _family("variable_chain", "1-2", n_queries=2)
    words = coloured(reach)
    walks, shortest = _family("path_query"), _family("shortest_path")
    tally = Tally(PointerChaseParams(n_nodes=16, vocab_size=48, n_queries=1), (2,))
    return {
        "a frequent answer": Leak(
            leaky(reach, prefer(0.22, lambda drawn: drawn.answer[:, 0])), reach, "majority_class"
        ),
        "the answer's place in the list": Leak(leaky(chase, answer_stands_first(0.055)), chase, "order_boosting"),
        "an order of facts that depends on the answer": Leak(leaky(reach, sorted_if_yes), reach, "order_logistic"),
        "steps that stand together": Leak(leaky(chase, steps_stand_together), chase, "rank_boosting"),
        "a bag of words": Leak(leaky(words, colours_tell), words, "bag_logistic"),
        "a word of the query": Leak(leaky(words, query_word_tells), words, "bag_logistic"),
        "the degree of the answer": Leak(leaky(chase, many_lead_to_the_answer), chase, "bag_boosting"),
        "a twin query": Leak(
            leaky(chains, prefer(0.3, lambda drawn: drawn.answer[:, 0] == drawn.answer[:, 1])),
            chains,
            "joint_answers",
            joint=True,
        ),
        "labels of fewer hops": Leak(leaky(chase, label_of_fewer_hops), chase, "solve"),
        "a preferred name": Leak(leaky(chase, answer_has_the_lowest_id), chase, "bag_boosting"),
        "an answer that equals the start": Leak(leaky(chase, back_to_the_start), chase, "bag_boosting"),
        "a short cut": Leak(leaky(chase, one_fact_joins_answer_and_start), chase, "bag_beside_start_boosting"),
        "a bag of the rest": Leak(leaky(tally, frequent_numbers), tally, "complete_bag"),
        "a word that tells the next": Leak(leaky(tally, second_number_repeats_the_first), tally, "complete_context"),
        "a sentence template": Leak(reach, reach, "english_words", renderer=OutspokenRenderer),
        "sentences in the order of the derivation": Leak(
            chase, chase, "english_mentions_boosting", renderer=SortingRenderer
        ),
        "a walk that leads back": Leak(leaky(walks, prefer(1.0, walk_leads_back)), walks, "rank_beside_walk"),
        "a detour": Leak(swapped_only(shortest), shortest, "detours_boosting"),
        "larger graphs": Leak(leaky(larger, answer_stands_first(0.055)), chase, "order_boosting", split="size_ood"),
    }


LEAKS = _leaks()
