"""Feature noise: the hospital trains on inputs that are blurred beyond use.

Source: Steinhardt, Koh & Liang, "Certified Defenses for Data Poisoning Attacks", NeurIPS 2017
(poisoned inputs); here without aim, as a broken interface or an unwilling hospital would do it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from simulation.attacks.learners.data import DataAttack
from simulation.learning.tampering import Rows
from simulation.network.params import check_probability


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureNoiseAttack(DataAttack):
    """Trains on inputs with Gaussian noise, the same noise in every round."""

    kind: Literal["feature_noise"] = "feature_noise"
    """Names this attack."""
    deviation: float = 3.0
    """Standard deviation of the noise, in units of the scaled inputs, above 0."""
    share: float = 1.0
    """Share of the hospital's training records whose inputs are blurred, 0 to 1."""

    stopped_by: ClassVar[str] = "robust aggregation, within its limits"

    def __post_init__(self) -> None:
        DataAttack.__post_init__(self)
        check_probability("share", self.share)
        if not 0 < self.deviation < math.inf:
            raise ValueError(f"deviation: must be above 0, got {self.deviation:g}")

    def poison(
        self, x: NDArray[np.float32], y: NDArray[np.int64], dice: np.random.Generator
    ) -> Rows:
        rows = dice.permutation(len(y))[: round(self.share * len(y))]
        blurred = x.copy()
        noise = self.deviation * dice.standard_normal((len(rows), x.shape[1]))
        blurred[rows] += noise.astype(x.dtype)
        return blurred, y
