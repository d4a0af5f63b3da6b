"""What a task promises to datasets, models and readers, as functions that check it; `shortcuts` asks more.

Each takes a task at one setting, and raises `Broken` if a promise is broken, or `NotAsked` if it is not made. A promise
holds for every law of the task: that of training, and those of further splits that are asked for.
"""

import itertools
from collections.abc import Callable, Collection

import numpy as np

from nexus_bench.data.counted_worlds import counts_no_world_too_many
from nexus_bench.data.encodings import ENCODINGS, encodings_of, table_offsets
from nexus_bench.data.faults import Fault, find_denied, find_misfit, find_twins, find_uneven
from nexus_bench.data.law import Law
from nexus_bench.data.lm_eval import Choices
from nexus_bench.data.show import as_text, show_example, show_sequence
from nexus_bench.data.splits import Splits, among, worlds_of
from nexus_bench.data.task import TaskSpec, law_of
from nexus_bench.generators.base import Examples
from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.generators.promises import PROMISES as OF_FAMILIES
from nexus_bench.generators.promises import RETURNS as RETURNS
from nexus_bench.generators.promises import Broken as Broken
from nexus_bench.generators.promises import Family
from nexus_bench.generators.promises import NotAsked as NotAsked
from nexus_bench.generators.promises import PromiseResult as PromiseResult
from nexus_bench.generators.promises import check_promise as check_promise
from nexus_bench.io.columns import TRAIN
from nexus_bench.streams import stream
from nexus_bench.text.parse import TextReader
from nexus_bench.text.render import TextOptions, TextRenderer

_N_GRAPHS, _N_EVEN, _N_TRAINED = 50, 500, 2_048
_N_SOLVED = 50  # sequences, of which every place may have a label
_N_TOLD = 3  # graphs told in English
_TEXTS = [
    {"n_distractors": n, "sentences": sentences, "question": question, "target": target}
    for n, sentences, question, target in itertools.product(
        (0, 5), ("shuffled", "forward", "backward"), ("last", "first"), ("answer", "steps")
    )
]

Promise = Callable[[TaskSpec], None]
ParsedExample = list[tuple[list[list[int]], list[int], int]]


def of_every_law(ask: Callable[[Family], None]) -> Promise:
    """A promise of a family, asked of the family of every law."""

    def asked(spec: TaskSpec) -> None:
        laws, reasons = spec.laws(), []
        for law in laws.values():
            try:
                ask(law.family)
            except NotAsked as reason:
                reasons.append(reason)
        if len(reasons) == len(laws):
            raise reasons[0]

    return asked


def fits_its_schema(spec: TaskSpec) -> None:
    """Shapes are as declared, ids within their vocabularies, hops those asked for, and all of them occur."""
    trained = spec.law()
    for split, law in spec.laws().items():
        examples = law.sample(_N_GRAPHS, stream("contract"))
        _no(find_misfit(law.family, trained.schema, examples, n_graphs=_N_GRAPHS), split, law)
        missing = sorted(set(law.family.hops) - set(examples.hop.ravel().tolist()))
        if missing:
            a_graph, one = law.schema.called[0], "label" if law.schema.is_sequence else "query"
            raise Broken(f"{split}: none of {_N_GRAPHS} {a_graph}s has a {one} of {missing[0]} hops")


def has_no_twins(spec: TaskSpec) -> None:
    """No fact and no query is twice in a graph."""
    _refuse_sequences(spec)
    for split, law in spec.laws().items():
        _no(find_twins(law.sample(_N_GRAPHS, stream("distinct"))), split, law)


def is_even(spec: TaskSpec) -> None:
    """Hops are dealt evenly over those asked, and no answer is commoner than `chance` allows."""
    for split, law in spec.laws().items():
        _no(find_uneven(law, law.sample(_N_EVEN, stream("even"))), split, law)


def is_solved(spec: TaskSpec) -> None:
    """`solve` derives labels and hops from the facts, at most that many, and as many at some query of each hop."""
    for split, law in spec.laws().items():
        is_sequence = law.schema.is_sequence
        examples = law.sample(_N_SOLVED if is_sequence else _N_EVEN, stream("derivation"))
        _no(find_denied(law, examples), split, law)
        rows = np.sort(law.solve(examples.facts, examples.query).rows, axis=2)
        is_twice = ((rows[:, :, 1:] == rows[:, :, :-1]) & (rows[:, :, 1:] >= 0)).any(axis=2)
        n_used = (rows >= 0).sum(axis=2)
        says, fact = ("`places` names", "token") if is_sequence else ("`solve` uses", "fact")
        for bad, what in (
            (is_twice, f"{says} a {fact} twice; a hop is one more {fact}"),
            (n_used > examples.hop, f"{says} more {fact}s than the hop count says"),
            ((n_used == 0) & (examples.hop > 0) & (not is_sequence), "`solve` names no fact that it used"),
        ):
            if bad.any():
                graph, query = (int(at) for at in np.unravel_index(int(bad.argmax()), bad.shape))
                _no(Fault(graph, query, what), split, law)
        for hop in np.unique(examples.hop[examples.hop > 0]).tolist():
            if (most := int(n_used[examples.hop == hop].max())) < hop:
                raise Broken(
                    f"{split}: no derivation of {hop} hops uses more than {most} {fact}s; a hop is one more {fact}"
                )


def keeps_its_splits_apart(spec: TaskSpec) -> None:
    """No graph of one split has the facts of a graph of another."""
    laws = spec.laws()
    splits = Splits(laws, seed=0, n_val=spec.n_val, n_test=spec.n_test)
    drawn = {split: held.examples for split, held in splits.held_out.items()} | {TRAIN: splits.train(0, _N_TRAINED)}
    worlds = {split: worlds_of(law_of(split, laws), examples) for split, examples in drawn.items()}
    for one, other in itertools.combinations(worlds, 2):
        if among(worlds[one], np.sort(worlds[other])).any():
            a_graph, facts, _ = spec.law().schema.called
            raise Broken(f"a {a_graph} of {one} has the {facts} of a {a_graph} of {other}")


def is_encoded(spec: TaskSpec) -> None:
    """What a model sees is read back to the same facts and queries."""
    law = spec.law()
    schema, examples = law.schema, law.sample(_N_GRAPHS, stream("encoded"))
    starts = np.array(list(table_offsets(schema).values()))
    n_facts, n_roles = examples.facts.shape[1:]
    for encoding in encodings_of(schema):
        tokens = ENCODINGS[encoding](examples, schema).tokens
        if encoding == "flat":
            flat, cut = tokens[:, :, 0], n_facts * n_roles
            seen = (flat[:, :cut].reshape(examples.facts.shape), flat[:, cut:].reshape(examples.query.shape))
        else:
            seen = (tokens[:, :n_facts, :n_roles], tokens[:, n_facts:, : len(schema.query)])
        for array, there, roles in zip(seen, examples, (schema.fact, schema.query), strict=False):
            for column, role in enumerate(roles):
                token, symbol = array[:, :, column], there[:, :, column]
                vocabulary = np.searchsorted(starts, token, side="right") - 1
                is_right = (vocabulary == list(schema.vocabularies).index(role.vocabulary)) & (
                    token - starts[vocabulary] == symbol
                )
                if not np.logical_or(is_right, symbol == NOTHING).all():
                    raise Broken(f"{encoding}: a symbol of {role.name} has the token of another symbol")


def can_be_shown(spec: TaskSpec) -> None:
    """Every symbol is written in its own way, and the derivation is drawn fact by fact."""
    for split, law in spec.laws().items():
        for vocabulary, size in law.schema.vocabularies.items():
            names = {law.symbol(vocabulary, index) for index in range(size)}
            if len(names) < size:
                raise Broken(f"{split}: {size} symbols of vocabulary '{vocabulary}' are written in {len(names)} ways")
        examples = law.sample(9, stream("chain"))
        if law.schema.is_sequence:
            _is_shown(law, examples, split)
            continue
        rows = law.solve(examples.facts, examples.query).rows[:, 0]
        for graph in range(9):
            shown = show_example(law, examples, graph=graph)
            used = [shown.facts[row] for row in rows[graph] if row >= 0]
            if shown.chain.count("-> ") + shown.chain.count(" <-") != len(used):
                raise Broken(f"{split}: the chain {shown.chain} has not the {len(used)} facts of the derivation")
            if not all(fact.split(" -")[-1].split("> ")[-1] in shown.chain for fact in used):
                raise Broken(f"{split}: a fact of the derivation does not end in the chain {shown.chain}")
            if len(shown.tokens) != len(shown.flat.split()) or shown.chain not in as_text(shown):
                raise Broken(f"{split}: a symbol is written as two words, or as none: {shown.flat}")


def _is_shown(law: Law, examples: Examples, split: str) -> None:
    """A sequence is shown word by word, with what its derivation reads."""
    for graph in range(examples.n_graphs):
        shown = show_sequence(law, examples, graph=graph)
        if not len(shown.tokens) == len(shown.labels) == len(shown.flat.split()):
            raise Broken(f"{split}: a symbol is written as two words, or as none: {shown.flat}")
        if any(label not in as_text(shown) for label in (*shown.labels, shown.answer)):
            raise Broken(f"{split}: a label is not shown")


def is_read_back(spec: TaskSpec) -> None:
    """English says what the arrays say: with every option, and in every template."""
    _refuse_sequences(spec)
    for split, law in spec.laws().items():
        family = law.family
        examples = family.sample(_N_TOLD, stream("text", family.name))
        wanted = expected(examples)
        for options in _TEXTS:
            if heard(TextRenderer(family, TextOptions.model_validate(options)), examples) != wanted:
                raise Broken(f"{split}: text is read back to another example, with {options}")
        renderer = TextRenderer(family, TextOptions())
        reader = TextReader(renderer)
        for facts, queries in zip(examples.facts.tolist(), examples.query.tolist(), strict=True):
            for fact, question in itertools.product(renderer.grammar.facts, renderer.grammar.questions):
                prompt = " ".join([*(fact.fill(symbols) for symbols in facts), question.fill(queries[0])])
                if reader.parse(prompt, renderer.grammar.answers[0])[:2] != (facts, queries[0]):
                    raise Broken(f"{split}: these templates are read back to another example: {prompt[:200]}")


def heard(renderer: TextRenderer, examples: Examples) -> ParsedExample:
    """What a reader makes of every example as it is told: the facts in the order of the data, query and answer."""
    reader = TextReader(renderer)
    found = []
    for told in renderer.render(examples):
        facts, query, answer = reader.parse(told.prompt, told.completion)
        if told.order is not None:
            facts = [fact for _, fact in sorted(zip(told.order, facts, strict=True))]
        found.append((facts, query, answer))
    return found


def expected(examples: Examples) -> ParsedExample:
    """What a reader should make of them."""
    return [
        (facts.tolist(), query.tolist(), int(answer))
        for facts, queries, answers in zip(examples.facts, examples.query, examples.answer, strict=True)
        for query, answer in zip(queries, answers, strict=True)
    ]


def offers_its_answers(spec: TaskSpec) -> None:
    """The answer is among the choices that language models are given, and not alone."""
    _refuse_sequences(spec)
    family = spec.generator()
    examples = family.sample(_N_GRAPHS, stream("choices"))
    choices = Choices(family, examples)
    for graph, query in np.ndindex(*examples.answer.shape):
        offered, answer = choices(graph, int(examples.hop[graph, query])), examples.answer[graph, query]
        if answer not in offered or len(offered) < 2:
            name = family.symbol(family.schema.answer, int(answer))
            raise Broken(f"graph {graph}, query {query}: the answer {name} is one of {len(offered)} choices")


PROMISES: dict[str, Promise] = {
    RETURNS: of_every_law(OF_FAMILIES[RETURNS]),
    "examples fit the schema": fits_its_schema,
    "facts and queries of a graph are distinct": has_no_twins,
    "hops and answers are even": is_even,
    "solve derives every label and hop": is_solved,
    **{promise: of_every_law(ask) for promise, ask in OF_FAMILIES.items()},
    "n_worlds is no overcount": counts_no_world_too_many,
    "splits share no graph": keeps_its_splits_apart,
    "encodings are read back": is_encoded,
    "examples can be shown": can_be_shown,
    "English is read back": is_read_back,
    "the answer is among the choices": offers_its_answers,
}


def has_names_of_its_own(spec: TaskSpec, taken: Collection[str]) -> None:
    """No parameter is named as a value of a suite, since `--set` finds a value by its name alone.

    Args:
        spec: The task.
        taken: The names that models, recipes and suites have.
    """
    shared = sorted({*taken, *TaskSpec.model_fields} & set(spec.params))
    if shared:
        raise Broken(f"the parameter '{shared[0]}' is also a value of a suite, so --set would change both; rename it")


def _no(fault: Fault | None, split: str, law: Law) -> None:
    """Break the promise if there is a fault."""
    if fault is not None:
        at = "" if fault.graph is None else f", {law.schema.at(fault.graph, fault.query)}"
        raise Broken(f"{split}{at}: {fault.what}")


def _refuse_sequences(spec: TaskSpec) -> None:
    if spec.generator().schema.is_sequence:
        raise NotAsked("a sequence")
