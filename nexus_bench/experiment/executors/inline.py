"""Jobs one after the other in this process."""

from collections.abc import Generator, Sequence

from nexus_bench.experiment.events import Event
from nexus_bench.experiment.jobs import Job, run_job


def run_inline(jobs: Sequence[Job]) -> Generator[Event, None, None]:
    """Run jobs in turn; the events of a job are yielded when it has ended."""
    for job in jobs:
        events: list[Event] = []
        run_job(job, on_event=events.append, should_stop=lambda: False)
        yield from events
