"""How good a model is: discrimination, calibration and accuracy, without a NaN anywhere.

A metric that is not defined (AUROC of one class) is left out, never replaced by a number. Metrics
of a hospital's test rows are computed from private records and lie outside the privacy guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simulation.base.ids import HospitalId, hospital_name
from simulation.learning.weighted import METRICS, weighted_metrics

Scores = tuple[NDArray[np.int64], NDArray[np.float64]]
"""True labels (0 or 1) and predicted probabilities of 1, both of shape (rows,)."""

ALWAYS_DEFINED = ("log_loss", "brier", "ece", "accuracy")
"""Those that rows of a single class have, too."""
POOLED = "pooled"
"""The scope of all hospitals' test rows together."""
MEAN = "mean"
"""The scope of the plain mean over hospitals."""


def measure(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """All metrics that are defined for these rows, as `weighted_metrics` defines them.

    Log loss is in nats, with probabilities kept 1e-7 away from 0 and 1; accuracy counts a
    probability above one half as 1.

    Raises:
        ValueError: when there are no rows, or a probability is not a number between 0 and 1.
    """
    check_scores(labels, probabilities)
    found = weighted_metrics(labels, probabilities, np.ones((1, len(labels))))
    return {name: float(values[0]) for name, values in found.items() if np.isfinite(values[0])}


def check_scores(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
    """Refuse what cannot be measured; raises as `measure` says."""
    if not len(labels):
        raise ValueError("no rows to measure")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not a number between 0 and 1: the model has diverged")


def together(scores: Mapping[HospitalId, Scores]) -> Scores:
    """All hospitals' rows, in the order of the hospitals."""
    ordered = [scores[h] for h in sorted(scores)]
    return (
        np.concatenate([labels for labels, _ in ordered]),
        np.concatenate([probabilities for _, probabilities in ordered]),
    )


def evaluate(scores: Mapping[HospitalId, Scores]) -> dict[str, dict[str, float]]:
    """Metrics of each hospital, of all rows pooled, and their plain mean over hospitals.

    Keys are hospital names in order, then ``pooled`` and ``mean``. The mean of a metric is over the
    hospitals where it is defined, and is left out when there are none.
    """
    found = {hospital_name(h): measure(*scores[h]) for h in sorted(scores)}
    mean: dict[str, float] = {}
    for metric in METRICS:
        values = [values[metric] for values in found.values() if metric in values]
        if values:
            mean[metric] = float(np.mean(values))
    found[POOLED] = measure(*together(scores))
    found[MEAN] = mean
    return found
