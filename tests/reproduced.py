"""A reproduction that is trained in a second, and results as they would be if its claim held, or not."""

from collections.abc import Mapping

import pandas as pd

from nexus_bench.io.columns import COLUMNS
from nexus_bench.reproductions.selection import planned_rows
from nexus_bench.reproductions.spec import Reproduction

TOY = """
reproduction: toy
source: {title: Toys, authors: Nobody, arxiv: "0000.00000", where: figure 1, licence: none}
claim: Two layers or two loops reach further than one layer
departures: [All of it is smaller.]
scales:
  small:
    about: A second.
    suite:
      tasks: [{task: pointer_chase, hops: 1-2, n_nodes: 6, n_val: 4, n_test: 8}]
      model: {d_model: 8}
      models:
        - {attention: standard, n_layers: [1, 2]}
        - {attention: standard, n_loops: 2}
      train: {steps: 2, batch_size: 2, eval_every: 1}
      seeds: 3
    ask:
      - {cells: n_loops 2, loops: 3}
    checks:
      - claim: Two layers learn two hops
        measure: accuracy
        hops: 2
        figures:
          - {where: {n_layers: 2}, at_least: 0.95}
      - claim: Two layers and two loops reach further than one layer
        measure: reach
        figures:
          - {where: {n_layers: 2}, above: {n_layers: 1, n_loops: 1}, by: 0.5}
          - {where: {n_loops: 2}, above: {n_layers: 1, n_loops: 1}, by: 0.5}
      - claim: A third loop does not harm
        measure: accuracy
        figures:
          - {where: {n_loops: 2, split: eval_loops3}, not_below: {split: test}, within: 0.1}
"""
ONE_LAYER, TWO_LAYERS, TWO_LOOPS = (1, 1), (2, 1), (1, 2)  # layers and loops

Accuracies = Mapping[tuple[int, int], list[float]]


def planted(reproduction: Reproduction, accuracies: Accuracies) -> pd.DataFrame:
    """The results of the small scale, with the accuracy of each model at every hop and split, by seed.

    A seed without an accuracy has no row.
    """
    rows = []
    for row in planned_rows(reproduction.suite("small"), reproduction.scale("small").ask):
        of_seeds = accuracies[row["n_layers"], row["n_loops"]]
        if row["seed"] < len(of_seeds):
            rows.append(row | {"accuracy": of_seeds[row["seed"]], "status": "trained", "purpose": "measured"})
    rows += [row | {"split": "val"} for row in rows if row["split"] == "test"]
    frame = pd.DataFrame(rows, columns=[column.name for column in COLUMNS])
    return frame.astype({column.name: column.dtype for column in COLUMNS})
