"""Seeds of the data crossed with seeds of the weights: how much of what cells differ in comes from each."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats


class Shares(NamedTuple):
    """The variance of a measure between cells, in parts that add up to 1; NaN where all cells are equal.

    Attributes:
        data: Of the datasets.
        weights: Of the seeds of the weights, which also fix the order of the data.
        rest: Of single cells: that one seed does well on one dataset, and another on another; noise with it.
        p_data: The p value of the F test that datasets make no difference.
        p_weights: Likewise of the seeds of the weights.
    """

    data: float
    weights: float
    rest: float
    p_data: float
    p_weights: float


def variance_shares(values: NDArray[np.float64]) -> Shares:
    """Split the variance of a crossed table of one value per cell.

    The components of a two-way random model without replication, from its mean squares; one that comes out negative is
    taken as zero.

    Args:
        values: A row per dataset, a column per seed of the weights, shape (D, W) with D and W at least 2.

    Source: Searle, Casella and McCulloch, Variance Components (1992), section 4.3.
    """
    if np.ptp(values) == 0:
        return Shares(*[math.nan] * 5)
    n_rows, n_columns = values.shape
    by_row, by_column = values.mean(axis=1), values.mean(axis=0)
    residuals = values - by_row[:, None] - by_column[None, :] + values.mean()
    df_rest = (n_rows - 1) * (n_columns - 1)
    rest = float((residuals**2).sum()) / df_rest
    of_rows, of_columns = n_columns * float(by_row.var(ddof=1)), n_rows * float(by_column.var(ddof=1))
    parts = np.array([max(of_rows - rest, 0) / n_columns, max(of_columns - rest, 0) / n_rows, rest])
    p_data, p_weights = (
        float(stats.f.sf(square / rest, df, df_rest)) if rest else 0.0 if square else math.nan
        for square, df in ((of_rows, n_rows - 1), (of_columns, n_columns - 1))
    )
    data, weights, left = (parts / parts.sum()).tolist()
    return Shares(data, weights, left, p_data, p_weights)
