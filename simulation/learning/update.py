"""What leaves a hospital after a round of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Spend:
    """Some releases of the subsampled Gaussian mechanism: one entry of a hospital's history."""

    sigma: float
    """Noise multiplier: standard deviation in units of the clipping norm."""
    sampling_rate: float
    """Probability with which each record enters a batch (Poisson sampling)."""
    steps: int
    """Releases, empty batches included."""


@dataclass(frozen=True, eq=False)
class ModelUpdate:
    """A locally trained model and what may be declared about it."""

    arrays: dict[str, NDArray[Any]]
    """All parameters after training, by name, in the model's order."""
    examples: int
    """Training records of the hospital: its weight in the average."""
    steps: int
    """Optimiser steps taken."""
    spent: Spend | None
    """What this training adds to the hospital's history; none without differential privacy."""
