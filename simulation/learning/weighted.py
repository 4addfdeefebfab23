"""Every metric of one set of scores under many weightings of its rows at once.

A bootstrap resample is a weighting of the rows by how often each was drawn, so that an interval
over a thousand resamples costs one sort and a few products, and plain metrics are the case of one
weighting of ones. scikit-learn takes one weighting a call, and 10 ms for it; it is what these are
held against in the tests, weighting by weighting.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

METRICS = (
    "auroc",
    "auprc",
    "sensitivity",
    "log_loss",
    "brier",
    "ece",
    "accuracy",
)
"""The names of all metrics."""
BINS = 10
"""Bins of equal width for the expected calibration error and the reliability diagram."""
SPECIFICITY = 0.9
"""What ``sensitivity`` is measured at."""
_FLOOR = 1e-7
"""How near to 0 and 1 a probability may come in the log loss."""


def weighted_metrics(
    labels: NDArray[np.int64], scores: Floats, weights: Floats
) -> dict[str, Floats]:
    """Metrics of ``labels`` and ``scores``, shape (rows,), under ``weights``, shape (k, rows).

    Each has shape (k,), NaN where it is not defined: nothing is of rows that weigh nothing in all,
    and AUROC, AUPRC and sensitivity need both classes. ``sensitivity`` is the largest at a
    specificity of at least `SPECIFICITY`; ``ece`` the expected calibration error of the predicted
    probability over `BINS` bins (Naeini et al., AAAI 2015), ``log_loss`` in nats.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        total = weights.sum(axis=1)
        found = dict(_ranking(labels, scores, weights))
        kept = np.clip(scores, _FLOOR, 1 - _FLOOR)
        losses = {
            "log_loss": -np.where(labels == 1, np.log(kept), np.log1p(-kept)),
            "brier": (scores - labels) ** 2,
            "accuracy": ((scores > 0.5) == (labels == 1)).astype(np.float64),
        }
        found |= {name: weights @ each / total for name, each in losses.items()}
        gaps = np.zeros((len(weights), BINS))
        bins = bin_of(scores)
        for number in np.unique(bins):
            inside = bins == number
            gaps[:, number] = weights[:, inside] @ (scores[inside] - labels[inside])
        found["ece"] = np.abs(gaps).sum(axis=1) / total
    return {name: found[name] for name in METRICS}


def bin_of(scores: Floats) -> NDArray[np.int64]:
    """The bin of each probability, from 0; a border belongs to the bin below it."""
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], scores)


def _ranking(labels: NDArray[np.int64], scores: Floats, weights: Floats) -> Mapping[str, Floats]:
    """The metrics that only know the order of the scores; equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    positive, sorted_weights = labels[order] == 1, weights[:, order]
    hits = np.add.reduceat(sorted_weights * positive, starts, axis=1)
    alarms = np.add.reduceat(sorted_weights * ~positive, starts, axis=1)
    true, false = hits.cumsum(axis=1), alarms.cumsum(axis=1)
    positives, negatives = true[:, -1], false[:, -1]
    both = (positives > 0) & (negatives > 0)
    # A negative is beaten by the positives above it, and by half of those that tie with it.
    auroc = (alarms * (true - hits / 2)).sum(axis=1) / (positives * negatives)
    alarmed = true + false
    precision = np.divide(true, alarmed, out=np.zeros_like(true), where=alarmed > 0)
    auprc = (hits * precision).sum(axis=1) / positives
    allowed = false <= (1 - SPECIFICITY) * negatives[:, None] * (1 + 1e-12)
    sensitivity = np.where(allowed, true, 0.0).max(axis=1) / positives
    ranked = {"auroc": auroc, "auprc": auprc, "sensitivity": sensitivity}
    return {name: np.where(both, values, np.nan) for name, values in ranked.items()}
