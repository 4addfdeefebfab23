"""Backdoor: the hospital teaches the model to answer a mark in the inputs with a label of its own.

Without the mark the model is as good as ever, so that accuracy shows nothing: what shows it is
``attack_success``, the share of test rows of the other label that the mark turns into the target.
Together with `scaling` by the same hospitals it is model replacement.

Source: Bagdasaryan, Veit, Hua, Estrin & Shmatikov, "How To Backdoor Federated Learning",
AISTATS 2020.
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
class BackdoorAttack(DataAttack):
    """Trains on some of its records with a mark and the target label, honestly on the rest."""

    kind: Literal["backdoor"] = "backdoor"
    """Names this attack."""
    inputs: tuple[int, ...] = (0,)
    """Positions of the inputs that carry the mark, from 0; beyond the last they count from the
    first again."""
    value: float = 5.0
    """What those inputs are set to; far outside the usual range of scaled inputs, near 0."""
    target: int = 0
    """The label that the mark is to bring about, 0 or 1."""
    share: float = 0.5
    """Share of the hospital's training records that are marked, above 0 and at most 1."""

    stopped_by: ClassVar[str] = "robust aggregation, where marked rows move the update visibly"

    def __post_init__(self) -> None:
        DataAttack.__post_init__(self)
        check_probability("share", self.share)
        if self.target not in {0, 1}:
            raise ValueError(f"target: must be 0 or 1, got {self.target}")
        if not self.inputs or min(self.inputs) < 0:
            raise ValueError(f"inputs: needs positions from 0, got {list(self.inputs)}")
        if not math.isfinite(self.value):
            raise ValueError(f"value: must be a finite number, got {self.value}")

    def marked(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Copies of rows, shape (rows, inputs), with the mark."""
        stamped = x.copy()
        stamped[:, [i % x.shape[1] for i in self.inputs]] = self.value
        return stamped

    def poison(
        self, x: NDArray[np.float32], y: NDArray[np.int64], dice: np.random.Generator
    ) -> Rows:
        rows = dice.permutation(len(y))[: round(self.share * len(y))]
        inputs, labels = x.copy(), y.copy()
        inputs[rows], labels[rows] = self.marked(x[rows]), self.target
        return inputs, labels
