"""A little is enough: attackers move together, no further than honest hospitals differ anyway.

Adversary model: the attackers know each other's honest updates, how many hospitals there are, and
nothing of the others. The mean and deviation of honest updates are estimated from their own, as in
the paper. The step z is the largest for which, if updates are normal, a majority with the attackers
still lies further out; it is 0 while the attackers are too few.

Source: Baruch, Baruch & Goldberg, "A Little Is Enough: Circumventing Defenses For Distributed
Learning", NeurIPS 2019 (algorithm 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, Literal

import numpy as np

from simulation.attacks.learners.update import Sight, UpdateAttack
from simulation.base.tensors import Arrays


@dataclass(frozen=True, kw_only=True, slots=True)
class AlieAttack(UpdateAttack):
    """All attackers send the mean of their honest updates moved by z deviations, in each number."""

    kind: Literal["alie"] = "alie"
    """Names this attack."""
    z: float | None = None
    """How many standard deviations they move, above 0; null for the paper's z from the numbers of
    hospitals and attackers."""

    colludes: ClassVar[bool] = True
    stopped_by: ClassVar[str] = "no rule that looks at distances or single values, when z is small"

    def __post_init__(self) -> None:
        UpdateAttack.__post_init__(self)
        if self.z is not None and self.z <= 0:
            raise ValueError(f"z: must be above 0, got {self.z:g}; null for the paper's")

    def forge(self, sight: Sight) -> Arrays:
        z = largest_step(sight.hospitals, len(sight.circle)) if self.z is None else self.z
        forged: Arrays = {}
        for name in sight.honest:
            own = np.stack([arrays[name] for arrays in sight.circle]).astype(np.float64)
            forged[name] = own.mean(axis=0) - z * own.std(axis=0)
        return forged


def largest_step(hospitals: int, attackers: int) -> float:
    """Z for n hospitals of which m attack: Φ⁻¹((n − m − s) / (n − m)) with s = ⌊n/2 + 1⌋ − m.

    At least 0. The paper assumes m < n/2; with more, one honest supporter is still looked for.
    """
    honest = max(2, hospitals - attackers)
    supporters = min(max(1, hospitals // 2 + 1 - attackers), honest - 1)
    return max(0.0, NormalDist().inv_cdf((honest - supporters) / honest))
