"""Suites as a command line selects them."""

from nexus_bench.experiment.suite import Suite, make_suite, select_suite
from nexus_bench.io.config import Config


def select(suite: str | None = None, **options: object) -> Suite:
    given: Config = {"task": None, "attention": None, "data": None, "settings": {}} | options
    config, where = select_suite(suite, **given)
    return make_suite(config, where=where)
