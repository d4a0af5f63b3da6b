"""Writes the verdict of a study: `python -m nexus_bench.report.verdict RUN CONTROLS CHALLENGES PAGE`."""

import sys
from pathlib import Path

from nexus_bench.errors import errors_in_a_line
from nexus_bench.report.verdict.page import make_verdict

with errors_in_a_line():
    make_verdict(*map(Path, sys.argv[1:5]))
