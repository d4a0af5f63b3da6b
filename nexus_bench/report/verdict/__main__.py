"""Writes the verdict of a study: `python -m nexus_bench.report.verdict RUN CONTROLS CHALLENGES PAGE`."""

from nexus_bench.io.scripts import errors_in_a_line, paths_given, tell_absent
from nexus_bench.report.verdict.verdict_page import make_verdict

with errors_in_a_line():
    run, controls, challenges, page = paths_given(
        "nexus_bench.report.verdict RUN CONTROLS CHALLENGES PAGE", least=4, most=4
    )
    tell_absent([run, controls, challenges], needed={run: "the page says that there is no verdict"})
    make_verdict(run, controls, challenges, page)
