"""Withholding: the hospital commits, and never reveals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.network.params import check_probability
from simulation.nodes.conduct import Conduct


@dataclass(frozen=True, kw_only=True, slots=True)
class WithholdAttack(HospitalAttack):
    """Commits an update and keeps it to itself, so that the others wait for it."""

    kind: Literal["withhold"] = "withhold"
    """Names this attack."""
    rate: float = 1.0
    """Probability of withholding in a round, each round by itself."""

    ledgers: ClassVar[tuple[str, ...]] = ("commit_reveal",)
    stopped_by: ClassVar[str] = "the reveal deadline: its ε stays spent, and the round goes on"

    def __post_init__(self) -> None:
        HospitalAttack.__post_init__(self)
        check_probability("rate", self.rate)

    def conduct(self, attacker: Attacker) -> Conduct:
        return _Withholding(self, attacker)


class _Withholding(Conduct):
    def __init__(self, attack: WithholdAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker

    def withholds(self, number: int) -> bool:
        attack, attacker = self._attack, self._attacker
        if not attack.active(number) or attacker.dice(number).random() >= attack.rate:
            return False
        attacker.note(attack, number)
        return True
