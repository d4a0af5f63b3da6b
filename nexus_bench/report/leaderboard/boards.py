"""Which settings stand in one table: one column per task family, so that no column ranks what cannot be compared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nexus_bench.io.plurals import counted
from nexus_bench.report.leaderboard.standings import GatheredStandings, Setting, Standing

_MOST_NAMED = 4  # families or models in a sentence


class Line(NamedTuple):
    """A mechanism on a board: its standing in each setting, by the number of the setting, each of one run."""

    model: str
    standings: dict[int, Standing]

    @property
    def runs(self) -> list[str]:
        """The runs that its numbers come from."""
        return list(dict.fromkeys(standing.run for standing in self.standings.values()))


class Board(NamedTuple):
    """A table of a leaderboard.

    Attributes:
        title: What is asked, and how models were trained.
        shape: The encoding.
        settings: Its columns, one per task family.
        lines: Its rows, the best in the first column first.
    """

    title: str
    shape: str
    settings: list[Setting]
    lines: list[Line]


def boards_of(gathered: GatheredStandings) -> list[Board]:
    """The boards, in the order of the runs.

    Settings share a board if they are of the same shape, of different families, and have in common at least half of the
    models of the one that has fewer; of several boards that of the same run, then that with most models in common.
    """
    groups: list[list[Setting]] = []
    models = {s.number: {t.model for t in gathered.standings if t.setting == s.number} for s in gathered.settings}
    runs = {s.number: {t.run for t in gathered.standings if t.setting == s.number} for s in gathered.settings}
    for setting in gathered.settings:
        fits: list[tuple[bool, int, list[Setting]]] = []
        for group in groups:
            there = set().union(*(models[other.number] for other in group))
            common = models[setting.number] & there
            is_near = 2 * len(common) >= min(len(there), len(models[setting.number]))
            is_other = setting.task not in [other.task for other in group] and group[0].shape == setting.shape
            if is_near and is_other:
                is_same_run = any(runs[setting.number] & runs[other.number] for other in group)
                fits.append((is_same_run, len(common), group))
        if fits:
            max(fits, key=lambda fit: fit[:2])[2].append(setting)
        else:
            groups.append([setting])
    return [_board(group, gathered.standings) for group in groups]


def _board(settings: list[Setting], standings: Sequence[Standing]) -> Board:
    numbers = {setting.number for setting in settings}
    lines: list[Line] = []
    of_runs: dict[tuple[str, str], dict[int, Standing]] = {}
    for standing in standings:
        if standing.setting in numbers:
            of_runs.setdefault((standing.model, standing.run), {})[standing.setting] = standing
    for (model, _), own in of_runs.items():
        line = next((one for one in lines if one.model == model and not own.keys() & one.standings.keys()), None)
        if line is None:
            lines.append(Line(model, dict(own)))
        else:
            line.standings.update(own)
    first = settings[0].number
    nothing = (-2.0, 0.0, 0.0)
    lines.sort(key=lambda line: line.standings[first].place if first in line.standings else nothing, reverse=True)
    return Board(_title(settings), settings[0].shape, settings, lines)


def _title(settings: Sequence[Setting]) -> str:
    if len(settings) == 1:
        return f"{settings[0].task} ({settings[0].apart})" if settings[0].apart else settings[0].task
    families = [setting.task for setting in settings]
    more = f" and {len(families) - _MOST_NAMED} more" if len(families) > _MOST_NAMED else ""
    return f"{counted(len(families), 'task')}, {settings[0].shape} encoding: {', '.join(families[:_MOST_NAMED])}{more}"


def leaders(board: Board, short: Mapping[str, str]) -> str:
    """Who came furthest on a board, in a sentence without a full stop; models by their short names."""
    best = {setting: _furthest(setting, board) for setting in board.settings}
    reached = {setting: found for setting, found in best.items() if found and found[0].reach}
    if not reached:
        return f"{board.title}: no model reaches a hop that can be claimed on half of its seeds"
    if len(board.settings) > 1:
        often = Counter(short[one.model] for found in reached.values() for one in {s.model: s for s in found}.values())
        told = "; ".join(f"{model} in {counted(n, 'task')}" for model, n in often.most_common(_MOST_NAMED))
        return f"{board.title}; furthest came, alone or level with others, {told}"
    (first, *others) = reached[board.settings[0]]
    names = [short[one.model] for one in (first, *others)]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    seeds = "" if first.low != first.low else f" on {first.n_reached} of {counted(first.n_seeds, 'seed')}"
    each = " each" if others and seeds else ""
    how_far = f"{counted(first.reach or 0, 'hop')}{seeds}{each}"
    return f"{board.title}: furthest came {'; '.join(names[:_MOST_NAMED])}{more}: {how_far}"


def _furthest(setting: Setting, board: Board) -> list[Standing]:
    """The standings that no other of the setting is ahead of, in hops and in the share of seeds."""
    own = [line.standings[setting.number] for line in board.lines if setting.number in line.standings]
    best = max(standing.place[:2] for standing in own)
    return [standing for standing in own if standing.place[:2] == best]
