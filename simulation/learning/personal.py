"""What a hospital adapts to its own records before it uses a model, and keeps to itself.

The global model mixes hospitals in which the outcome is more and less frequent. A hospital that
knows its own frequency moves the intercept until predicted and observed positives agree in number
on its training records (recalibration in the large: Steyerberg, "Clinical Prediction Models",
2nd ed., 2019, chapter 15). The order of its patients stays; order between hospitals improves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FURTHEST = 30.0
_HALVINGS = 60


def own_intercept(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """What to add to logits so that probabilities add up to the number of positives.

    Half a positive and half a negative are added to the records, so that hospitals that have seen
    one label only get a finite answer.
    """
    wanted = (labels.sum() + 0.5) / (len(labels) + 1) * len(labels)
    low, high = -_FURTHEST, _FURTHEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (1 / (1 + np.exp(-(logits + middle)))).sum() < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
