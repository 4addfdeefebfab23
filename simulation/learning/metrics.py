"""How good a model is: discrimination, calibration and accuracy, without a NaN anywhere.

A metric that is not defined (AUROC of one class) is left out, never replaced by a number. Metrics
of a hospital's test rows are computed from private records and lie outside the privacy guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.base.ids import HospitalId, hospital_name

Scores = tuple[NDArray[np.int64], NDArray[np.float64]]
"""True labels (0 or 1) and predicted probabilities of 1, both of shape (rows,)."""

METRICS = ("auroc", "auprc", "log_loss", "brier", "accuracy")
"""The names of all metrics."""
ALWAYS_DEFINED = ("log_loss", "brier", "accuracy")
"""Those that rows of a single class have, too."""
POOLED = "pooled"
"""The scope of all hospitals' test rows together."""
MEAN = "mean"
"""The scope of the plain mean over hospitals."""


def measure(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """All metrics that are defined for these rows.

    AUROC and AUPRC need both classes. Log loss is in nats, with probabilities kept 1e-7 away from 0
    and 1; accuracy counts a probability above one half as 1.

    Raises:
        ValueError: when there are no rows, or a probability is not a number between 0 and 1.
    """
    from sklearn import metrics as sk

    if not len(labels):
        raise ValueError("no rows to measure")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not a number between 0 and 1: the model has diverged")
    library: Any = sk
    found: dict[str, float] = {}
    if len(np.unique(labels)) == 2:
        found["auroc"] = float(library.roc_auc_score(labels, probabilities))
        found["auprc"] = float(library.average_precision_score(labels, probabilities))
    kept = np.clip(probabilities, 1e-7, 1 - 1e-7)
    found["log_loss"] = float(library.log_loss(labels, kept, labels=[0, 1]))
    found["brier"] = float(np.mean((probabilities - labels) ** 2))
    found["accuracy"] = float(library.accuracy_score(labels, probabilities > 0.5))
    return found


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
    ordered = [scores[h] for h in sorted(scores)]
    found[POOLED] = measure(
        np.concatenate([labels for labels, _ in ordered]),
        np.concatenate([probabilities for _, probabilities in ordered]),
    )
    found[MEAN] = mean
    return found
