"""Clones: accomplices that all bring one update, so that it counts as often as there are of them.

No commitment can stop it, because the one who has learnt the update gives it away of its own will.
Source: Fung, Yoon & Beschastnikh, "The Limitations of Federated Learning in Sybil Settings", RAID
2020 (clients that share one objective bring updates that are too alike).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from simulation.attacks.learners.update import Sight, UpdateAttack
from simulation.base.tensors import Arrays


@dataclass(frozen=True, kw_only=True, slots=True)
class CloneAttack(UpdateAttack):
    """Sends what the first of the accomplices has learnt, under each one's own name."""

    kind: Literal["clone"] = "clone"
    """Names this attack."""
    disguise: float = 0.0
    """Standard deviation of noise on each number, relative to the mean size of the change, to hide
    that two updates are one."""

    colludes: ClassVar[bool] = True
    stopped_by: ClassVar[str] = (
        "the near-duplicate test at reveal, unless disguised by enough noise"
    )

    def __post_init__(self) -> None:
        UpdateAttack.__post_init__(self)
        if self.disguise < 0:
            raise ValueError(f"disguise: must be at least 0, got {self.disguise:g}")

    def forge(self, sight: Sight) -> Arrays:
        first = sight.circle[0]
        return {name: self._disguised(array, sight, name) for name, array in first.items()}

    def _disguised(self, array: NDArray[Any], sight: Sight, name: str) -> NDArray[Any]:
        size = float(np.abs(array - sight.base[name]).mean())
        return array + sight.dice.normal(0.0, 1.0, np.shape(array)) * (self.disguise * size)
