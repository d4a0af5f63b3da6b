"""Results that several tests of reports share."""

import pandas as pd
import pytest

from tests.made import table


@pytest.fixture
def results() -> pd.DataFrame:
    return table(
        ("standard, d 8", 0.1, 0, {1: 1.0, 2: 0.25}),
        ("standard, d 8", 0.1, 1, {1: 1.0, 2: 0.35}),
        ("nexus, order 2, d 8", 0.1, 0, {1: 1.0, 2: 1.0}),
        ("nexus, order 2, d 8", 0.1, 1, {1: None, 2: None}),
    )
