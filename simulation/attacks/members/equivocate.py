"""Equivocation of a hospital: two different signed commitments in one round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.base.digest import Tag, tagged_hash
from simulation.nodes.conduct import Body, Conduct
from simulation.nodes.messages import Order

if TYPE_CHECKING:
    from simulation.nodes.ledger_service import LedgerService


@dataclass(frozen=True, kw_only=True, slots=True)
class EquivocateAttack(HospitalAttack):
    """Commits to a second update after its first, as if it could still choose."""

    kind: Literal["equivocate"] = "equivocate"
    """Names this attack."""

    ledgers: ClassVar[tuple[str, ...]] = ("hash_only", "commit_reveal")
    stopped_by: ClassVar[str] = "one commitment per hospital; the signed pair is evidence"

    def conduct(self, attacker: Attacker) -> Conduct:
        return _Equivocating(self, attacker)


class _Equivocating(Conduct):
    def __init__(self, attack: EquivocateAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker

    def commits(self, ledger: LedgerService, order: Order, body: Body) -> list[Body]:
        del ledger
        if not self._attack.active(order.round):
            return [body]
        self._attacker.note(self._attack, order.round)
        first = body["commitment"]
        assert isinstance(first, bytes), "a commitment is a digest"
        return [body, {**body, "commitment": tagged_hash(Tag.COMMIT, first)}]
