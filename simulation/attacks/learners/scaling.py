"""Scaling: the hospital exaggerates what it has learnt, to outweigh all others.

Source: Bagdasaryan et al., "How To Backdoor Federated Learning", AISTATS 2020 (model replacement).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from simulation.attacks.learners.update import Sight, UpdateAttack
from simulation.base.tensors import Arrays


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingAttack(UpdateAttack):
    """Sends ``base + factor · (learnt − base)``."""

    kind: Literal["scaling"] = "scaling"
    """Names this attack."""
    factor: float = 10.0
    """How many lengths of the honest change it goes, above 1."""

    stopped_by: ClassVar[str] = "robust aggregation, within its limits"

    def __post_init__(self) -> None:
        UpdateAttack.__post_init__(self)
        if not 1 < self.factor < math.inf:
            raise ValueError(f"factor: must be above 1, got {self.factor:g}")

    def forge(self, sight: Sight) -> Arrays:
        return {
            name: sight.base[name] + self.factor * (array - sight.base[name])
            for name, array in sight.honest.items()
        }
