"""A reproduction as its YAML file says it: source, claim, departures, and two scales with their suites and checks."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from nexus_bench.errors import ConfigError
from nexus_bench.experiment.suite import Suite, make_suite
from nexus_bench.inspection.question import EvaluationRequest
from nexus_bench.io.bundled import bundled, read_bundled
from nexus_bench.io.config import Config, check_name, read_config
from nexus_bench.io.entries import Spec, validate
from nexus_bench.io.hops import parse_hops

KIND = "reproduction"


def _read_hops(value: Any) -> tuple[int, ...]:
    try:
        return parse_hops(value)
    except ConfigError as error:
        raise ValueError(str(error)) from error  # so that pydantic says where


Hops = Annotated[tuple[int, ...], BeforeValidator(_read_hops)]
ScaleName = Literal["small", "published"]

_VALUES = ("equals", "at_least", "at_most")
_OTHERS = ("above", "near", "not_below")


class Source(Spec):
    """Where the claim was published."""

    title: str
    authors: str
    arxiv: str = Field(description="Identifier, such as 2402.09268.")
    where: str = Field(description="Sections, figures and tables.")
    code: str | None = Field(default=None, description="Address of public code.")
    licence: str = Field(description="Of the code, and what was taken from it.")


class Figure(Spec):
    """One claimed figure: which rows of results.csv it is about, and what they should show.

    Exactly one of the relations is given. `equals`, `at_least` and `at_most` compare with a value; `above`, `near` and
    `not_below` with other rows of the same seeds.
    """

    where: Config = Field(default={}, description="Columns and options of results.csv -> their values.")
    hops: Hops | None = Field(default=None, description="Hop counts; null: those of the check, or all there are.")
    equals: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    above: Config | None = Field(default=None, description="What differs in rows that this one is above.")
    near: Config | None = Field(default=None, description="What differs in rows that this one is like.")
    not_below: Config | None = Field(default=None, description="What differs in rows that this one is not below.")
    within: float = Field(default=0.0, ge=0, description="Tolerance of the relation.")
    by: float = Field(default=0.0, ge=0, description="With `above`: the least difference that counts.")

    @model_validator(mode="after")
    def _one_relation(self) -> "Figure":
        given = [name for name in (*_VALUES, *_OTHERS) if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a figure has one of {', '.join((*_VALUES, *_OTHERS))}, got {' and '.join(given) or '0'}")
        if (self.above is not None) != (self.by > 0) or (self.above is not None and self.within):
            raise ValueError("`by`, more than 0, goes with `above`, and `within` with the other relations")
        if self.near is not None and not self.within:
            raise ValueError("near needs `within`: no two means are the same")
        return self

    @property
    def relation(self) -> str:
        """The name of the relation."""
        return next(name for name in (*_VALUES, *_OTHERS) if getattr(self, name) is not None)

    @property
    def claimed(self) -> float | None:
        """The value it compares with; None if it compares with other rows."""
        value = getattr(self, self.relation)
        return float(value) if self.relation in _VALUES else None

    @property
    def against(self) -> Config | None:
        """What differs in the rows that it compares with."""
        return None if self.relation in _VALUES else getattr(self, self.relation)

    @property
    def accepted(self) -> tuple[float, float]:
        """The values with which it holds: of the measure, or of the difference from the other rows."""
        middle = self.by if self.relation == "above" else self.claimed or 0.0
        is_from_below = self.relation in ("at_most", "equals", "near")
        is_from_above = self.relation != "at_most"
        low = middle - self.within if is_from_above else float("-inf")
        return low, middle + self.within if is_from_below else float("inf")


class Check(Spec):
    """A sentence of the claim, and its figures."""

    claim: str
    measure: Literal["accuracy", "loss", "reach"]
    where: Config = Field(default={}, description="As in a figure, for all of them.")
    hops: Hops | None = Field(default=None, description="As in a figure, for all of them.")
    figures: list[Figure] = Field(min_length=1)


class Ask(Spec):
    """What trained models are asked besides their test split, as `nexus-bench eval` does."""

    cells: str | None = Field(default=None, description="Parts of the titles of cells; null: all.")
    hops: Hops | None = None
    n_facts: int | None = Field(default=None, ge=1)
    n: int | None = Field(default=None, ge=1, description="Graphs; null: as many as in the test split.")
    loops: int | None = Field(default=None, ge=1)
    trained: bool = Field(default=False, description="Graphs that were trained on.")
    settings: Config = Field(default={})

    @property
    def question(self) -> EvaluationRequest:
        """The question of `inspection`."""
        return EvaluationRequest(self.hops, self.n_facts, dict(self.settings), self.n, self.loops, self.trained)


class Scale(Spec):
    """What is trained and asked at a scale, and what it should show."""

    about: str = Field(description="How long it takes and where.")
    flops: float | None = Field(default=None, ge=0, description="As counted; null: counted whenever it is asked for.")
    departures: list[str] = Field(default=[], description="From the source, besides those of both scales.")
    suite: Config = Field(description="A suite without its name.")
    ask: list[Ask] = Field(default=[])
    checks: list[Check] = Field(min_length=1)
    found: list[str] = Field(default=[], description="Why it came out so, as far as it is known; written afterwards.")

    @field_validator("suite")
    @classmethod
    def _has_no_name(cls, suite: Config) -> Config:
        if "suite" in suite:
            raise ValueError(
                f"has no name of its own, got suite {suite['suite']!r}; omit it, and write out what is trained"
            )
        return suite


class Reproduction(Spec):
    """A published result that is trained again."""

    reproduction: str
    source: Source
    claim: str
    departures: list[str] = Field(default=[], description="From the source, at both scales.")
    scales: dict[ScaleName, Scale] = Field(min_length=1)
    _file: Path | None = PrivateAttr(default=None)  # None: it is bundled

    def command(self, scale: str, *, is_for_here: bool = True) -> str:
        """The command that trains and judges it.

        Args:
            scale: At this scale.
            is_for_here: Whether a file is named by its path as it was given, and not by its name alone.
        """
        given = self.reproduction if self._file is None else str(self._file) if is_for_here else self._file.name
        return f"nexus-bench reproduce {shlex.quote(given)} --scale {scale}"

    def suite_config(self, scale: str) -> Config:
        """The suite of a scale, with its name, which is that of its run."""
        return {"suite": f"{self.reproduction}-{scale}", "summary": self.claim} | self.scale(scale).suite

    def suite(self, scale: str) -> Suite:
        """The grid of a scale.

        Raises:
            ConfigError: It is not a valid suite.
        """
        return make_suite(self.suite_config(scale), f"reproduction {self.reproduction}: {scale}")

    def scale(self, name: str) -> Scale:
        """A scale by its name."""
        scales: dict[Any, Scale] = dict(self.scales)
        return scales[name]

    def folder(self, scale: str) -> Path:
        """Where its run is unless another folder is given."""
        return Path("runs") / "reproductions" / self.reproduction / scale


def read_reproduction(name_or_path: str) -> Reproduction:
    """A bundled reproduction by its name, or one in a YAML file.

    Raises:
        ConfigError: There is none of that name, or something in it is unknown, missing or not allowed.
        StorageError: The file cannot be read.
    """
    is_file = name_or_path.endswith((".yaml", ".yml"))
    config = read_config(Path(name_or_path)) if is_file else read_bundled(KIND, name_or_path)
    where = name_or_path if is_file else f"reproduction {name_or_path}"
    made = validate(Reproduction, config, where=where)
    made._file = Path(name_or_path) if is_file else None
    check_name(made.reproduction, what=f"{where}: reproduction")
    return made


def bundled_reproductions() -> list[str]:
    """The names of those that come with nexus-bench."""
    return list(bundled(KIND))
