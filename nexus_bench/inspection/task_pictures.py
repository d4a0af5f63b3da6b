"""The pictures of docs/tasks.md: `python -m nexus_bench.inspection.task_pictures docs/pictures`."""

from nexus_bench.data.gallery import gallery_example, gallery_sequence, is_of_sequences
from nexus_bench.generators.base import GENERATORS
from nexus_bench.inspection.sequence_drawing import sequence_svg
from nexus_bench.io.files import write_atomic
from nexus_bench.io.scripts import errors_in_a_line, paths_given
from nexus_bench.report.charts.task_drawing import example_svg


def task_picture(name: str) -> str:
    """The gallery's example of a family, drawn as SVG."""
    if is_of_sequences(name):
        return sequence_svg(*gallery_sequence(name))
    law, one = gallery_example(name)
    return example_svg(law, one.facts[0], one.query[0, 0])


if __name__ == "__main__":
    with errors_in_a_line():
        (folder,) = paths_given("nexus_bench.inspection.task_pictures FOLDER", least=1, most=1)
        for family in GENERATORS.own_names():
            write_atomic(folder / f"{family}.svg", task_picture(family))
