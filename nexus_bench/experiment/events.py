"""Events of training, sent from a worker to the runner and on to the display."""

from typing import NamedTuple

from nexus_bench.experiment.records import CellResult
from nexus_bench.training.recipe import Point


class CellBegun(NamedTuple):
    """A worker has begun a cell."""

    cell_id: str


class Progress(NamedTuple):
    """A cell was evaluated on validation."""

    cell_id: str
    point: Point


class Failure(NamedTuple):
    """A cell ended without a result; the runner puts the title of the cell before the reason.

    The traceback is that of an unexpected error, for the record of the cell.
    """

    cell_id: str
    reason: str
    exit_code: int
    traceback: str | None = None


class Note(NamedTuple):
    """A message for the user that changes no result."""

    text: str


class JobDone(NamedTuple):
    """All cells of a job have ended; the saved state of the job is no longer needed."""

    job_id: str


Event = CellBegun | Progress | CellResult | Failure | Note | JobDone
