"""Which declared comparisons no result can decide, as too few seeds are planned: told before anything is trained."""

import pandas as pd

from nexus_bench.analysis.compare_models import TOO_FEW, Declaration, declared_pairs, tested_in_order
from nexus_bench.analysis.declared import read_declared
from nexus_bench.analysis.power import needs
from nexus_bench.experiment.suite import Suite
from nexus_bench.model.costs import cost_of
from nexus_bench.training.spec import CellSpec


def undecided(suite: Suite) -> str | None:
    """One line on the declared comparisons that need more seeds than there are; None if all can be decided."""
    declared = read_declared(suite.config.get("comparisons"), where=suite.name)
    if not declared.asked and not declared.equal_size:
        return None
    settings: dict[str, dict[str, CellSpec]] = {}  # of a report: label -> a cell
    for cell in suite.cells:
        train = cell.train
        setting = f"{cell.task.model_dump_json()} {train.batch_size} {train.steps} {train.reuse}"
        settings.setdefault(setting, {}).setdefault(cell.label, cell)
    planned = []
    for cells in settings.values():
        rows = pd.DataFrame([_row(cell, sized=declared.equal_size) for cell in cells.values()])
        rows = rows.merge(pd.DataFrame({"seed": suite.seeds}), how="cross")
        planned.append(declared_pairs([Declaration(declared, frozenset(rows["cell_id"]))], rows))
    few = [
        found for found in tested_in_order(planned) if len(found.pairs) and (found.pairs["verdict"] == TOO_FEW).all()
    ]
    if not few:
        return None
    n_seeds = len(suite.seeds)
    return f"{needs(max(found.n_tests for found in few), 'declared comparison')}; with {n_seeds} none can be shown"


def _row(cell: CellSpec, *, sized: bool) -> dict[str, object]:
    """What a result of the cell will be compared by, with the same accuracy for all; costs take a while to count."""
    cost = cost_of(cell.model, cell.task) if sized else None
    return {
        "cell_id": cell.cell_id,
        "model": cell.label,
        "attention": cell.model.attention,
        "order": cell.model.options.get("order"),
        "n_params": cost.parameters if cost else None,
        "flops_per_step": cost.compute if cost else None,
        "hop": 1,
        "accuracy": 0.0,
    }
