"""Family trees, and the composition of relations: the composition table is derived from trees, not written by hand.

In these trees people marry once, and the children of a couple share both parents.
"""

import functools
from collections.abc import Iterator

RELATIONS = ("father", "mother", "son", "daughter", "brother", "sister", "husband", "wife")

Word = tuple[int, ...]  # relations in a row, as indices of RELATIONS: the father of the sister is (5, 0)


class Person:
    """Someone in a tree; relatives are created when they are first needed."""

    def __init__(self, is_male: bool) -> None:
        self.is_male = is_male
        self.father: Person | None = None
        self.mother: Person | None = None
        self.spouse: Person | None = None
        self.children: list[Person] = []

    def marry(self) -> "Person":
        """The only spouse."""
        if self.spouse is None:
            self.spouse = Person(not self.is_male)
            self.spouse.spouse = self
        return self.spouse

    def parents(self) -> "tuple[Person, Person]":
        """Father and mother, who are married."""
        if self.father is None or self.mother is None:
            self.father = Person(is_male=True)
            self.mother = self.father.marry()
            self.father.children = self.mother.children = [self]
        return self.father, self.mother

    def child(self, is_male: bool, strangers_to: "list[Person]") -> "Person":
        """A son or daughter who is none of those people; all such children are equivalent."""
        for child in self.children:
            if child.is_male == is_male and child not in strangers_to:
                return child
        child = Person(is_male)
        father, mother = (self, self.marry()) if self.is_male else (self.marry(), self)
        child.father, child.mother = father, mother
        father.children = mother.children = [*self.children, child]
        return child


def composition_table(n_steps: int) -> dict[Word, str | None]:
    """The composition of every sequence of `n_steps` relations between different people.

    Args:
        n_steps: Relations in a row, 1 or more.

    Returns:
        The possible words, in order, each with its term; None if the term depends on the tree or English has no term.
    """
    return {word: next(iter(terms)) if len(terms) == 1 else None for word, terms in _terms(n_steps)}


def kin_term(person: Person, other: Person) -> str | None:
    """What the other is to the person, such as `great-uncle`; None if English has no single term."""
    if other is person.spouse:
        return "husband" if other.is_male else "wife"
    if (blood := _blood(person, other)) is not None:
        return _blood_term(*blood, is_male=other.is_male)
    in_law = {(1, 0), (1, 1)} if person.spouse and _blood(person.spouse, other) else {(0, 1), (1, 1)}
    through = (person.spouse, other) if in_law == {(1, 0), (1, 1)} else (person, other.spouse)
    if through[0] is None or through[1] is None:
        return None
    blood = _blood(*through)
    return f"{_blood_term(*blood, is_male=other.is_male)}-in-law" if blood in in_law else None


@functools.cache
def _terms(n_steps: int) -> list[tuple[Word, set[str | None]]]:
    terms: dict[Word, set[str | None]] = {}
    for is_male in (True, False):
        ego = Person(is_male)
        # once a person: relatives that are created later are new, so they bring no two people closer
        term_of = functools.cache(functools.partial(kin_term, ego))
        for word, other in _walks(ego, [ego], (), n_steps):
            terms.setdefault(word, set()).add(term_of(other))
    return sorted(terms.items())


def _walks(person: Person, path: list[Person], word: Word, n_steps: int) -> Iterator[tuple[Word, Person]]:
    """Every step from a person to people who are not on the path."""
    if len(word) == n_steps:
        yield word, person
        return
    for relation, name in enumerate(RELATIONS):
        other = _relative(person, name, path)
        if other is not None and other not in path:
            yield from _walks(other, [*path, other], (*word, relation), n_steps)


def _relative(person: Person, relation: str, path: list[Person]) -> Person | None:
    is_male = relation in ("father", "son", "brother", "husband")
    if relation in ("father", "mother"):
        return person.parents()[0 if is_male else 1]
    if relation in ("son", "daughter"):
        return person.child(is_male, path)
    if relation in ("brother", "sister"):
        return person.parents()[0].child(is_male, [*path, person])
    return person.marry() if person.is_male != is_male else None


def _blood(person: Person, other: Person) -> tuple[int, int] | None:
    """Generations up from the person to the nearest shared ancestor, and down from there to the other."""
    up, down = _ancestors(person), _ancestors(other)
    shared = [(up[ancestor] + down[ancestor], up[ancestor], down[ancestor]) for ancestor in up if ancestor in down]
    return min(shared)[1:] if shared else None


def _ancestors(person: Person) -> dict[Person, int]:
    """The person and the ancestors in the tree, with the generations up to each."""
    found, generation, n_generations = {person: 0}, [person], 0
    while generation:
        n_generations += 1
        generation = [parent for p in generation for parent in (p.father, p.mother) if parent is not None]
        found |= {parent: n_generations for parent in generation}
    return found


def _blood_term(up: int, down: int, *, is_male: bool) -> str:
    """The English term for someone `up` generations up and `down` generations down from there."""
    if min(up, down) >= 2:
        degree, removed = min(up, down) - 1, abs(up - down)
        return f"{_ORDINALS[degree]} cousin" + (f" {_TIMES[removed]} removed" if removed else "")
    male, female, grand = _NAMES[min(up, 2), min(down, 2)]
    further = max(up, down) - 2
    name = male if is_male else female
    return "great-" * further + grand + name if further >= 0 else name


_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_TIMES = ("", "once", "twice", *(f"{n} times" for n in ("three", "four", "five", "six", "seven", "eight", "nine")))
_NAMES = {  # of the nearest relatives; further ones get a prefix
    (0, 0): ("himself", "herself", ""),
    (1, 0): ("father", "mother", ""),
    (2, 0): ("father", "mother", "grand"),
    (0, 1): ("son", "daughter", ""),
    (0, 2): ("son", "daughter", "grand"),
    (1, 1): ("brother", "sister", ""),
    (2, 1): ("uncle", "aunt", ""),
    (1, 2): ("nephew", "niece", ""),
}
