"""What declared comparisons come to, in the clauses of a finding."""

from collections.abc import Mapping
from typing import NamedTuple

from nexus_bench.analysis.compare_models import BETTER, NOT_SHOWN, NOT_TESTED, TOO_FEW, DeclaredPairs
from nexus_bench.analysis.power import needs
from nexus_bench.io.plurals import counted, first_of

_MOST_NAMED = 4  # pairs in one sentence


class DeclaredClauses(NamedTuple):
    """Clauses on differences that are shown, and on comparisons that show none or are not decided."""

    shown: list[str]
    open: list[str]


def declared_clauses(declared: DeclaredPairs, short: Mapping[str, str]) -> DeclaredClauses:
    """What declared comparisons show, and what they do not, in clauses.

    Args:
        declared: `compare_models.declared_pairs` of one setting.
        short: Label -> the display name of a model.
    """
    pairs = declared.pairs
    if pairs.empty:
        return DeclaredClauses([], [])
    few = pairs[pairs["verdict"] == TOO_FEW]
    better: list[str] = []
    not_shown: list[str] = []
    not_tested: list[str] = []
    for ours, theirs, verdict in zip(pairs["model"], pairs["baseline"], pairs["verdict"], strict=True):
        if verdict == NOT_SHOWN:
            not_shown.append(f"{short[ours]} and {short[theirs]}")
        elif verdict == NOT_TESTED:
            not_tested.append(f"{short[ours]} and {short[theirs]}")
        elif verdict != TOO_FEW:
            ahead, behind = (ours, theirs) if verdict == BETTER else (theirs, ours)
            further = " than " if better else " reaches further than "
            better.append(f"{short[ahead]}{further}{short[behind]}")
    n = counted(len(pairs), "comparison")
    shown, clauses = [], []
    if better:
        shown.append(f"declared before training and shown, {len(better)} of {n}: {first_of(better, _MOST_NAMED)}")
    if not_shown:
        equal = "which does not make them equal"
        clauses.append(
            f"declared, but no difference shown, {equal}, {len(not_shown)} of {n}: {first_of(not_shown, _MOST_NAMED)}"
        )
    if not_tested:
        why = "as one before it in the declared order shows no difference"
        clauses.append(f"not tested, {why}, {len(not_tested)} of {n}: {first_of(not_tested, _MOST_NAMED)}")
    if len(few):
        paired = int(few["n_seeds"].min())
        clauses.append(
            f"not decided, {len(few)} of {n} declared before training: {counted(paired, 'paired seed')} "
            f"{'is' if paired == 1 else 'are'} too few to tell any outcome from chance "
            f"({needs(declared.n_tests, 'declared comparison')})"
        )
    return DeclaredClauses(shown, clauses)
