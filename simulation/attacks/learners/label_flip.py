"""Label flipping: the hospital trains on wrong labels.

Source: Tolpegin, Truex, Gursoy & Liu, "Data Poisoning Attacks Against Federated Learning Systems",
ESORICS 2020 (label flipping by a share of the participants).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from simulation.attacks.learners.data import DataAttack
from simulation.learning.tampering import Rows
from simulation.network.params import check_probability


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelFlipAttack(DataAttack):
    """Trains on flipped labels: 0 becomes 1 and 1 becomes 0."""

    kind: Literal["label_flip"] = "label_flip"
    """Names this attack."""
    share: float = 1.0
    """Share of the hospital's training records whose label is flipped, 0 to 1; the same records in
    every round."""

    stopped_by: ClassVar[str] = "robust aggregation, within its limits"

    def __post_init__(self) -> None:
        DataAttack.__post_init__(self)
        check_probability("share", self.share)

    def poison(
        self, x: NDArray[np.float32], y: NDArray[np.int64], dice: np.random.Generator
    ) -> Rows:
        flipped = dice.permutation(len(y))[: round(self.share * len(y))]
        labels = y.copy()
        labels[flipped] = 1 - labels[flipped]
        return x, labels
