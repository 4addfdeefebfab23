"""Overspending: the hospital goes on training and committing with a budget that is used up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.nodes.conduct import Conduct


@dataclass(frozen=True, kw_only=True, slots=True)
class OverspendAttack(HospitalAttack):
    """Does not sit out the rounds that its privacy budget has no room for."""

    kind: Literal["overspend"] = "overspend"
    """Names this attack."""

    ledgers: ClassVar[tuple[str, ...]] = ("hash_only", "commit_reveal")
    stopped_by: ClassVar[str] = "the contract, which refuses a commitment above the cap"

    def conduct(self, attacker: Attacker) -> Conduct:
        return _Overspending(self, attacker)


class _Overspending(Conduct):
    def __init__(self, attack: OverspendAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker

    def overspends(self, number: int) -> bool:
        if not self._attack.active(number):
            return False
        self._attacker.note(self._attack, number)
        return True
