"""The best attainable AUROC, where the probability that generated the labels is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ceiling(risk: NDArray[np.float64]) -> float:
    """The AUROC that the generating probability itself has, in expectation over the labels.

    Each row counts as a positive with weight p and as a negative with weight 1 - p, so nothing
    depends on the labels that happened to be drawn. No model can have more in expectation.
    """
    order = np.argsort(risk, kind="stable")
    p = risk[order]
    values, first = np.unique(p, return_index=True)
    positive = np.add.reduceat(p, first)
    negative = np.add.reduceat(1 - p, first)
    below = np.cumsum(negative) - negative
    assert len(values) == len(positive)
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))
