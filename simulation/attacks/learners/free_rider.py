"""Free-riding: the hospital takes part in the model and not in the work.

Source: Lin, Du & Liu, "Free-riders in Federated Learning: Attacks and Defenses", arXiv 1911.12560
(random weights, last round's change, the same with noise); Fraboni, Vidal & Lorenzi, "Free-rider
Attacks on Model Aggregation in Federated Learning", AISTATS 2021 (plain and disguised).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from simulation.attacks.learners.update import Sight, UpdateAttack
from simulation.base.tensors import Arrays


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeRiderAttack(UpdateAttack):
    """Sends something that looks like an update and has not been learnt."""

    kind: Literal["free_rider"] = "free_rider"
    """Names this attack."""
    what: Literal["zero", "noise", "last_round"] = "zero"
    """What it sends: the base model itself (``zero`` change); the base model with Gaussian
    ``noise``; or the base model moved by what the federation moved it in the ``last_round``, with
    noise so that it is nobody's copy."""
    noise: float = 0.01
    """Standard deviation of the noise on each number, for ``noise`` and ``last_round``."""

    stopped_by: ClassVar[str] = "nothing for certain; the contribution test finds a part"

    def __post_init__(self) -> None:
        UpdateAttack.__post_init__(self)
        if self.noise <= 0:
            raise ValueError(f"noise: must be above 0, got {self.noise:g}")

    def forge(self, sight: Sight) -> Arrays:
        if self.what == "zero":
            return sight.base
        before = sight.before if self.what == "last_round" else None
        return {
            name: array
            + (0 if before is None else array - before[name])
            + sight.dice.normal(0.0, self.noise, np.shape(array))
            for name, array in sight.base.items()
        }
