"""Shares of variance: of planted effects, of none, and of tables where nothing differs."""

import math

import numpy as np
import pytest

from nexus_bench.analysis.crossed import variance_shares


def made(data: float, weights: float, noise: float, *, n_rows: int, n_columns: int, seed: int) -> np.ndarray:
    """A table with normal effects of these standard deviations."""
    draw = np.random.default_rng(seed).standard_normal
    rest = noise * draw((n_rows, n_columns))
    return 0.5 + data * draw(n_rows)[:, None] + weights * draw(n_columns)[None, :] + rest


@pytest.mark.parametrize(("data", "weights", "noise"), [(3.0, 1.0, 2.0), (0.0, 2.0, 1.0), (1.0, 0.0, 1.0)])
def test_shares_of_planted_effects_are_found(data: float, weights: float, noise: float) -> None:
    found = variance_shares(made(data, weights, noise, n_rows=400, n_columns=300, seed=1))
    total = data**2 + weights**2 + noise**2
    planted = [data**2 / total, weights**2 / total, noise**2 / total]
    assert found[:3] == pytest.approx(planted, abs=0.04)
    assert (found.p_data < 1e-6) == (data > 0) and (found.p_weights < 1e-6) == (weights > 0)


def test_mean_squares_are_those_of_the_definition() -> None:
    table = made(1.0, 0.5, 0.7, n_rows=4, n_columns=3, seed=2)
    mean = sum(float(value) for row in table for value in row) / 12
    rows = [sum(map(float, row)) / 3 for row in table]
    columns = [sum(float(row[j]) for row in table) / 4 for j in range(3)]
    of_rows = 3 * sum((row - mean) ** 2 for row in rows) / 3
    of_columns = 4 * sum((column - mean) ** 2 for column in columns) / 2
    rest = sum((float(table[i][j]) - rows[i] - columns[j] + mean) ** 2 for i in range(4) for j in range(3)) / 6
    parts = [max((of_rows - rest) / 3, 0), max((of_columns - rest) / 4, 0), rest]
    assert list(variance_shares(table)[:3]) == pytest.approx([part / sum(parts) for part in parts])


def test_p_values_hold_where_nothing_differs() -> None:
    found = [variance_shares(made(0, 0, 1, n_rows=5, n_columns=5, seed=seed)) for seed in range(2000)]
    for values in ([one.p_data for one in found], [one.p_weights for one in found]):
        assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_tables_without_noise_and_without_any_difference() -> None:
    found = variance_shares(np.array([[1.0, 1.0], [0.5, 0.5]]))
    assert found[:4] == (1.0, 0.0, 0.0, 0.0) and math.isnan(found.p_weights)
    assert all(math.isnan(value) for value in variance_shares(np.ones((3, 2))))
