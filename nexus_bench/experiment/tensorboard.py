"""Learning curves for TensorBoard, one line per cell."""

from pathlib import Path
from types import TracebackType

from nexus_bench.errors import UsageError
from nexus_bench.experiment.events import Event, Progress


class TensorBoard:
    """Writes validation accuracy and loss by hop as they arrive.

    Args:
        folder: The log folder of TensorBoard.

    Raises:
        UsageError: The extra `tensorboard` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError("--tensorboard needs an extra; pip install 'nexus-bench[tensorboard]'") from error
        self._make = SummaryWriter
        self._folder = folder
        self._writers: dict[str, SummaryWriter] = {}

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def on_event(self, event: Event) -> None:
        """Write an evaluation."""
        if not isinstance(event, Progress):
            return
        if event.cell_id not in self._writers:
            self._writers[event.cell_id] = self._make(str(self._folder / event.cell_id))
        writer = self._writers[event.cell_id]
        for hop, at in event.point.scores.items():
            writer.add_scalar(f"accuracy/{hop} hops", at.accuracy, event.point.step)
            writer.add_scalar(f"loss/{hop} hops", at.loss, event.point.step)
