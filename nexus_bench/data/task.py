"""A task at one setting: which family, which hops, how much held-out data."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from nexus_bench.data.law import NUMBER, UNARY, Law
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Generator
from nexus_bench.generators.defaults import shown_file, task_defaults
from nexus_bench.generators.parts.patterns import ALL, HELD_OUT, TRAINED
from nexus_bench.io.columns import HOP_OOD, IID, PATTERN_OOD, SIZE_OOD
from nexus_bench.io.config import Config
from nexus_bench.io.entries import Keys, Spec, divide, name_in, validate
from nexus_bench.io.hops import format_hops, parse_hops

_INTERNAL = ("content_sha256",)  # `train --data` writes it

Hops = Annotated[tuple[int, ...], BeforeValidator(parse_hops)]


class TaskSpec(Spec):
    """A task at one setting. Defaults of the parameters are in `tasks/<name>.yaml`."""

    task: str
    hops: Hops
    params: Config = Field(description="Every parameter of the generator.")
    n_val: int = Field(default=256, ge=1, description="Validation graphs.")
    n_test: int = Field(default=1024, ge=1, description="Graphs of each test split.")
    hop_ood: Hops | None = Field(default=None, description="Hops of a further test split, beyond those trained.")
    size_ood: Config | None = Field(default=None, description="Parameters that differ in a further test split.")
    pattern_ood: bool = Field(
        default=False, description="A further test split of relation patterns, or compositions of facts, never trained."
    )
    hop_query: Literal["number", "unary"] = Field(
        description="How a query writes its hop count: as a number, or as that many marks (unary)."
    )
    content_sha256: str | None = Field(
        default=None, description="Hash of the dataset trained on; null: an endless stream."
    )

    @model_validator(mode="before")
    @classmethod
    def _hops_beyond_training_need_marks(cls, values: Config) -> Config:
        given = {key: value for key, value in values.items() if value is not None or key != "hop_query"}
        return {"hop_query": NUMBER if values.get("hop_ood") is None else UNARY} | given

    @model_validator(mode="after")
    def _splits_differ(self) -> "TaskSpec":
        if self.hop_ood is not None:
            if shared := set(self.hop_ood) & set(self.hops):
                raise ValueError(f"hop_ood must hold hops that are not trained, got {format_hops(tuple(shared))}")
            if self.hop_query == NUMBER:
                raise ValueError("hop_ood needs `hop_query: unary`: a number that was never trained says nothing")
        return self

    def generator(self) -> Generator[Any]:
        """The family that training, validation and test are drawn by."""
        return self.law().family

    def law(self) -> Law:
        """The law of training, validation and test."""
        return self.laws()[IID]

    def laws(self) -> dict[str, Law]:
        """Every law by its name: `iid`, and `hop_ood`, `size_ood` and `pattern_ood` where they are asked for.

        Raises:
            ConfigError: A hop is out of range, `size_ood` has symbols that training never shows, or the family has no
                patterns to hold out.
        """
        largest = max(self.hops + (self.hop_ood or ()))
        trained = TRAINED if self.pattern_ood else ALL
        made = {IID: self.law_at(self.params, self.hops, largest, trained)}
        if self.hop_ood is not None:
            made[HOP_OOD] = self.law_at(self.params, self.hop_ood, largest, trained)
            if made[IID].family.says_hop:
                raise ConfigError(
                    f"{self.task}: a token says the hop count, and one that was never trained says nothing; omit "
                    "hop_ood, or train its hops too"
                )
        if self.size_ood is not None:
            params = validate(GENERATORS.get(self.task).Params, self.params | self.size_ood, where=SIZE_OOD)
            made[SIZE_OOD] = self.law_at(params.model_dump(), self.hops, largest, trained)
            _check_sizes(made[IID], made[SIZE_OOD])
        if self.pattern_ood:
            made[IID].family.check_patterns()
            hops = tuple(hop for hop in self.hops if hop > 1)
            if not hops:
                raise ConfigError(f"{self.task}: pattern_ood needs hops of 2 or more: a single relation is no pattern")
            made[PATTERN_OOD] = self.law_at(self.params, hops, largest, HELD_OUT)
        return made

    def law_at(self, params: Config, hops: tuple[int, ...], largest_hop: int, patterns: str) -> Law:
        """The law of this task at other parameters or hops, whose queries write the hop count in the same way.

        Raises:
            ConfigError: A hop is out of range for the parameters.
        """
        family = GENERATORS.get(self.task)
        drawn = family(family.Params.model_validate(params), hops, largest_hop=largest_hop, patterns=patterns)
        return Law(drawn, self.hop_query)


def law_of(split: str, laws: dict[str, Law]) -> Law:
    """The law that a split is drawn by: its own, or that of training."""
    return laws.get(split, laws[IID])


def known_tasks() -> tuple[str, ...]:
    """The names of all task families, also those of other packages."""
    return GENERATORS.names()


def task_keys(name: str) -> Keys:
    """The keys of a task entry: the parameters of the generator and the fields of TaskSpec."""
    shared = tuple(field for field in TaskSpec.model_fields if field not in ("task", "params", *_INTERNAL))
    return Keys(tuple(GENERATORS.get(name).Params.model_fields), shared, _INTERNAL)


def make_task(entry: Config, *, where: str) -> TaskSpec:
    """Validate a task entry, over the defaults of `tasks/<name>.yaml`.

    Args:
        entry: `task`, and any of its parameters and of the fields of TaskSpec.
        where: Name of the entry in error messages.

    Raises:
        ConfigError: A name or a key is unknown, or a value is not allowed.
    """
    name = name_in(entry, "task", where=where)
    family = GENERATORS.get(name)
    defaults = {key: value for key, value in task_defaults(name).items() if key not in ("summary", "text")}
    divide(defaults, task_keys(name), "task", where=shown_file(name))
    if "n_train" in entry and "n_train" not in family.Params.model_fields:
        raise ConfigError(
            f"{where}: {name}: there is no n_train, training draws new graphs at every step; --n says how many a "
            "dataset has"
        )
    own, shared = divide(defaults | entry, task_keys(name), "task", where=where)
    params = validate(family.Params, own, where=f"{where}: {name}")
    spec = validate(TaskSpec, {**shared, "params": params.model_dump()}, where=f"{where}: {name}")
    try:
        spec.laws()
        is_sequence = spec.law().schema.is_sequence
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if is_sequence and "text" in task_defaults(name):
        raise ConfigError(f"{shown_file(name)}: `text` is of tasks with queries; a sequence has no English, so omit it")
    return spec


def check_symbols(trained: Law, other: Law, *, what: str) -> None:
    """Every symbol of other graphs must be one that training shows.

    Args:
        trained: The law of training.
        other: Another law of the same family.
        what: Its name for the message.

    Raises:
        ConfigError: A vocabulary has another size, or other symbols.
    """
    names = {role.vocabulary for role in (*trained.schema.fact, *trained.schema.query)} - {"hop"}
    for name in sorted(names | {trained.schema.answer}):
        known, asked = trained.schema.vocabularies[name], other.schema.vocabularies[name]
        if known != asked:
            raise ConfigError(
                f"{trained.family.name}: {what} must keep the {known} symbols of vocabulary '{name}', got {asked}; "
                "fix its size for both, larger than any graph"
            )
        written = ((trained.symbol(name, index), other.symbol(name, index)) for index in range(known))
        if renamed := next((pair for pair in written if pair[0] != pair[1]), None):
            raise ConfigError(
                f"{trained.family.name}: {what} must keep what each symbol stands for; what is {renamed[0]} in "
                f"training would be {renamed[1]}"
            )


def _check_sizes(trained: Law, other: Law) -> None:
    """Larger graphs have as many queries, and symbols that training shows."""
    check_symbols(trained, other, what=SIZE_OOD)
    ours, larger = trained.family, other.family
    same_queries = trained.schema.is_sequence or ours.n_queries == larger.n_queries
    if not same_queries or len(trained.schema.query) != len(other.schema.query):
        raise ConfigError(f"{ours.name}: size_ood must keep the queries of a graph; fix n_queries for both")
    if ours.n_facts >= larger.n_facts:
        raise ConfigError(
            f"{ours.name}: size_ood must have more than the {ours.n_facts} facts of training, got {larger.n_facts}"
        )
