"""Under-noising: the hospital claims more noise than it adds.

What reaches the ledger is the claim, and a digest of an update says nothing of how it was made; no
check of bytes can see it. Only an audit of the training itself can (`simulation.learning.audit`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.attacks.learners.data import Announcing
from simulation.base.ids import HospitalId
from simulation.base.rng import Streams
from simulation.learning.privacy import PrivacyPlan
from simulation.learning.tampering import Tampering
from simulation.nodes.conduct import Conduct


@dataclass(frozen=True, kw_only=True, slots=True)
class UnderNoisingAttack(HospitalAttack):
    """Adds less noise than its privacy claim on the ledger says, for a better update."""

    kind: Literal["under_noising"] = "under_noising"
    """Names this attack."""
    factor: float = 0.1
    """The noise that it adds, as a share of what it declares, 0 to below 1."""

    stopped_by: ClassVar[str] = "nothing on a ledger; an audit of the training only"

    def __post_init__(self) -> None:
        HospitalAttack.__post_init__(self)
        if not 0 <= self.factor < 1:
            raise ValueError(f"factor: must be at least 0 and below 1, got {self.factor:g}")

    def tampering(self, hospital: HospitalId, streams: Streams) -> Tampering:
        del hospital, streams
        return _LessNoise(self)

    def conduct(self, attacker: Attacker) -> Conduct:
        return Announcing(self, attacker)


@dataclass(frozen=True, slots=True)
class _LessNoise(Tampering):
    attack: UnderNoisingAttack

    def mechanism(self, number: int, declared: PrivacyPlan) -> PrivacyPlan:
        if not self.attack.active(number):
            return declared
        return replace(declared, sigma=declared.sigma * self.attack.factor)
