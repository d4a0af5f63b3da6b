"""Classifiers that readers fit, from scikit-learn, which is imported only here and only when one is fitted."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nexus_bench.errors import UsageError
from nexus_bench.shortcuts.candidates import Candidates
from nexus_bench.shortcuts.fitted import Float
from nexus_bench.streams import Int

_MOST_ROWS = 40_000  # candidates that one ranking is fitted to
_MOST_TREES = 400  # of one classifier, over its classes
Make = Callable[[int, int], Any]  # takes rounds of boosting and the number of classes


def require_sklearn() -> None:
    """Say how to install what readers need.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise UsageError("audit needs scikit-learn; pip install 'nexus-bench[audit]'") from error


def logistic(rounds: int, n_classes: int) -> Any:
    """Logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=60, tol=1e-3))


def boosting(rounds: int, n_classes: int) -> Any:
    """Gradient boosting with histograms."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = max(5, min(rounds, _MOST_TREES // max(1, n_classes if n_classes > 2 else 1)))
    return HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=12, learning_rate=0.15, max_bins=64, early_stopping=False, random_state=0
    )


def classify(fit: Any, answer: Int, score: Any, make: Make, rounds: int) -> Int:
    """Guess a class for every row of `score` (n, w) after fitting rows and answers (n): array (n)."""
    classes, counts = np.unique(answer, return_counts=True)
    if isinstance(fit, np.ndarray):
        varies = np.ptp(fit, axis=0) > 0
        fit, score = fit[:, varies], score[:, varies]
    if len(classes) == 1 or not fit.shape[1]:
        return np.full(score.shape[0], classes[counts.argmax()], dtype=np.int32)
    guess: Int = _fitted(make(rounds, len(classes)), fit, answer).predict(score).astype(np.int32)
    return guess


def rank(fit: Candidates, right: Int, score: Candidates, make: Make, rounds: int) -> Int:
    """Guess the likeliest candidate of every example of `score`.

    Args:
        fit: Candidates to fit to.
        right: Array (n), the right ones; examples without the right one are left out.
        score: Candidates to choose from.
        make: The classifier, of one candidate at a time.
        rounds: Rounds of boosting.

    Returns:
        Array (n) of symbols.
    """
    odds = rate(fit, right, score, make, rounds)
    return np.take_along_axis(score.symbols, odds.argmax(axis=1)[:, None], axis=1)[:, 0]


def rate(fit: Candidates, right: Int, score: Candidates, make: Make, rounds: int) -> Float:
    """How likely each candidate of `score` is the right one: array (n, m), 0 where there is none."""
    n, m, _ = fit.features.shape
    kept = slice(min(n, max(1, _MOST_ROWS // m)))
    varies = np.ptp(fit.features[kept], axis=(0, 1)) > 0
    is_there = fit.symbols[kept] >= 0
    is_right = (fit.symbols[kept] == right[kept, None])[is_there]
    odds = np.where(score.symbols >= 0, 0.5, 0.0)
    if varies.any() and is_right.any() and not is_right.all():
        model = _fitted(make(rounds, 2), fit.features[kept][is_there][:, varies], is_right)
        seen = score.features.reshape(-1, len(varies))[:, varies]
        found = model.predict_proba(seen)[:, 1].reshape(score.symbols.shape)
        odds = np.where(score.symbols >= 0, found, 0.0)
    return odds


def _fitted(model: Any, features: Any, labels: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that has not converged is a weaker reader, not an error
        return model.fit(features, labels)
