"""Which settings stand in one table: one column per task family, so that no column ranks what cannot be compared."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nexus_bench.io.plurals import counted
from nexus_bench.report.standings import Gathered, Setting, Standing

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


def boards_of(gathered: Gathered) -> list[Board]:
    """The boards, in the order of the runs.

    Settings share a board if they are of the same shape, of different families, and some model stands in both; of
    several boards that of the same run, then that with most models in common.
    """
    groups: list[list[Setting]] = []
    models = {s.number: {t.model for t in gathered.standings if t.setting == s.number} for s in gathered.settings}
    runs = {s.number: {t.run for t in gathered.standings if t.setting == s.number} for s in gathered.settings}
    for setting in gathered.settings:

        def shared(group: list[Setting], of: dict[int, set[str]], *, number: int = setting.number) -> int:
            return len(of[number] & set().union(*(of[other.number] for other in group)))

        fitting = [
            group
            for group in groups
            if group[0].shape == setting.shape
            and setting.task not in [other.task for other in group]
            and shared(group, models)
        ]
        if fitting:
            best = max(fitting, key=lambda group: (bool(shared(group, runs)), shared(group, models)))
            best.append(setting)
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
        return f"{settings[0].task}: {settings[0].apart}" if settings[0].apart else settings[0].task
    families = [setting.task for setting in settings]
    more = f" and {len(families) - _MOST_NAMED} more" if len(families) > _MOST_NAMED else ""
    return f"{counted(len(families), 'task')}, {settings[0].shape} encoding: {', '.join(families[:_MOST_NAMED])}{more}"


def leaders(setting: Setting, board: Board, short: Mapping[str, str]) -> str:
    """Who came furthest in a setting of a board, in a sentence without a full stop; models by their short names."""
    own = [line.standings[setting.number] for line in board.lines if setting.number in line.standings]
    best = max(standing.place for standing in own)
    where = f"{setting.task} ({setting.apart})" if setting.apart else setting.task
    if best[0] < 0:
        return f"{where}: nothing is claimed of any model"
    first = [standing for standing in own if standing.place[:2] == best[:2]]
    more = f" and {len(first) - _MOST_NAMED} more" if len(first) > _MOST_NAMED else ""
    names = "; ".join(short[standing.model] for standing in first[:_MOST_NAMED]) + more
    seeds = "" if first[0].low != first[0].low else f" on {first[0].n_reached} of {counted(first[0].n_seeds, 'seed')}"
    return f"{where}: furthest, {counted(int(best[0]), 'hop')}{seeds}{' each' if len(first) > 1 else ''}: {names}"
