"""Inner product manipulation: attackers together turn the mean update against the true direction.

Adversary model: the attackers know each other's honest updates; the paper's attackers know
everybody's. What they estimate from their own they send with the sign turned.

Source: Xie, Koyejo & Gupta, "Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product
Manipulation", UAI 2019.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from simulation.attacks.learners.update import Sight, UpdateAttack
from simulation.base.tensors import Arrays


@dataclass(frozen=True, kw_only=True, slots=True)
class IpmAttack(UpdateAttack):
    """All attackers send ``base − epsilon · (mean of their honest updates − base)``."""

    kind: Literal["ipm"] = "ipm"
    """Names this attack."""
    epsilon: float = 0.5
    """How far they go the other way, in lengths of their mean change, above 0. Small ones hide from
    rules that look at distances; large ones turn the plain mean around."""

    colludes: ClassVar[bool] = True
    stopped_by: ClassVar[str] = "robust aggregation while epsilon is large; small ones slow it down"

    def __post_init__(self) -> None:
        UpdateAttack.__post_init__(self)
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"epsilon: must be above 0, got {self.epsilon:g}")

    def forge(self, sight: Sight) -> Arrays:
        forged: Arrays = {}
        for name, base in sight.base.items():
            mean = np.stack([arrays[name] for arrays in sight.circle]).astype(np.float64).mean(0)
            forged[name] = base - self.epsilon * (mean - base)
        return forged
