"""Sign flipping: the hospital pushes the model the other way.

Source: Li, Xu, Chen, Giannakis & Ling, "RSA: Byzantine-Robust Stochastic Aggregation Methods for
Distributed Learning from Heterogeneous Datasets", AAAI 2019 (sign-flipping attack).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from simulation.attacks.learners.update import Sight, UpdateAttack
from simulation.base.tensors import Arrays


@dataclass(frozen=True, kw_only=True, slots=True)
class SignFlipAttack(UpdateAttack):
    """Sends the base model moved against what it has learnt: ``base − scale · (learnt − base)``."""

    kind: Literal["sign_flip"] = "sign_flip"
    """Names this attack."""
    scale: float = 1.0
    """How far it moves the other way, in lengths of the honest change."""

    stopped_by: ClassVar[str] = "robust aggregation, within its limits"

    def __post_init__(self) -> None:
        UpdateAttack.__post_init__(self)
        if self.scale <= 0:
            raise ValueError(f"scale: must be above 0, got {self.scale:g}")

    def forge(self, sight: Sight) -> Arrays:
        return {
            name: sight.base[name] - self.scale * (array - sight.base[name])
            for name, array in sight.honest.items()
        }
