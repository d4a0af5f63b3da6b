"""How often audits fail, with planted leaks and without: `python -m tests.shortcuts.power --processes 16`.

Of the audits of a family without a leak at most 1 in 100 may fail; of those with one at least 95 in 100 must.
"""

import argparse
import os
from collections import Counter
from multiprocessing import get_context
from typing import NamedTuple

from nexus_bench.data.task import make_task
from nexus_bench.shortcuts.audit import audit
from tests.families import GRAPHS, SEQUENCES
from tests.shortcuts import sequence_leaks
from tests.shortcuts.leaks import LEAKS, beaten_by

FAMILY = "family"  # a registered family at its defaults
CLEAN, LEAK = "without the leak", "leak"


class Redraw(NamedTuple):
    """One audit: of what, with a leak or without, at which seed."""

    kind: str
    name: str
    seed: int
    n_graphs: int


def run(redraw: Redraw) -> tuple[Redraw, bool]:
    """Whether the audit failed."""
    if redraw.kind == FAMILY:
        law = make_task({"task": redraw.name}, where="power").generator()
        rows = audit(law, n_graphs=redraw.n_graphs, seed=redraw.seed, rounds=20)
        return redraw, any(row.above for row in rows)
    clean = redraw.kind == CLEAN
    options = {"seed": redraw.seed, "n_graphs": redraw.n_graphs, "clean": clean}
    if redraw.name in sequence_leaks.LEAKS:
        return redraw, bool(sequence_leaks.beaten_by(sequence_leaks.LEAKS[redraw.name], **options))
    return redraw, bool(beaten_by(LEAKS[redraw.name], **options))


def redraw_all(
    n_redraws: int, n_processes: int, n_graphs: int, families: list[str], leaks: list[str]
) -> dict[tuple[str, str], int]:
    """Failed audits by kind and name; each redraw has a seed of its own."""
    jobs = [
        Redraw(kind, name, 1000 * number + redraw, n_graphs)
        for kind, names in ((FAMILY, families), (CLEAN, leaks), (LEAK, leaks))
        for number, name in enumerate(names, start=1)  # some of the laws without a leak are the same
        for redraw in range(n_redraws)
    ]
    failed = Counter({(job.kind, job.name): 0 for job in jobs})
    with get_context("spawn").Pool(n_processes) as pool:
        for job, is_failed in pool.imap_unordered(run, jobs, chunksize=1):
            failed[job.kind, job.name] += is_failed
    return dict(failed)


def main() -> int:
    """Print the counts; 1 if one is out of its range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--redraws", type=int, default=100)
    parser.add_argument("--graphs", type=int, default=4000)
    parser.add_argument("--families", default=",".join([*GRAPHS, *SEQUENCES]))
    parser.add_argument("--leaks", default=",".join([*LEAKS, *sequence_leaks.LEAKS]), help="names, or nothing for none")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    families, leaks = (names.split(",") if names else [] for names in (args.families, args.leaks))
    failed = redraw_all(args.redraws, args.processes, args.graphs, families, leaks)
    for (kind, name), count in failed.items():
        print(f"{kind:<17} {name:<46} {count:>4} of {args.redraws} audits fail")
    clean = [count for (kind, _), count in failed.items() if kind != LEAK]
    caught = [count for (kind, _), count in failed.items() if kind == LEAK]
    n_clean = args.redraws * len(clean)
    print(f"\n{sum(clean)} of {n_clean} audits without a leak fail", end="")
    print(f"; at least {min(caught)} of {args.redraws} with one" if caught else "")
    return int(sum(clean) * 100 > n_clean or any(count * 100 < 95 * args.redraws for count in caught))


if __name__ == "__main__":
    raise SystemExit(main())
