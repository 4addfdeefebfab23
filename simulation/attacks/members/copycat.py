"""The copycat: a hospital that has learnt nothing and claims another's update as its own.

With bare digests on the ledger it waits until an update is out and commits to the same bytes. With
salted commitments, bound to a hospital and sealed before anything is revealed, all that it can copy
in time is the commitment itself, which it cannot open in its own name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.contracts.parameters import parameters
from simulation.contracts.rounds import OPEN, commit_of, round_status
from simulation.nodes.conduct import Body, Conduct
from simulation.nodes.learner import Product
from simulation.nodes.messages import Order, Reply
from simulation.nodes.update_check import root_of

if TYPE_CHECKING:
    import simpy

    from simulation.nodes.ledger_service import LedgerService

LOOK_US = 10_000
"""How often a copycat that waits for an update looks whether one has come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CopycatAttack(HospitalAttack):
    """Copies the first update, or the commitment, of an honest hospital that it gets hold of."""

    kind: Literal["copycat"] = "copycat"
    """Names this attack."""

    ledgers: ClassVar[tuple[str, ...]] = ("hash_only", "commit_reveal")
    stopped_by: ClassVar[str] = "hospital and salt in the commitment, and the seal"

    def conduct(self, attacker: Attacker) -> Conduct:
        return _Copying(self, attacker)


class _Copying(Conduct):
    def __init__(self, attack: CopycatAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker
        self._victim: dict[int, int] = {}
        """Whose commitment it has copied, by round."""
        self._claimed: set[int] = set()
        """Rounds in which it has put another's commitment on the ledger."""
        self._seen: dict[int, dict[int, Reply]] = {}

    def observe(self, reply: Reply) -> None:
        if reply.hospital not in self._attacker.circle.members:
            self._seen.setdefault(reply.round, {})[reply.hospital] = reply

    def prepare(
        self, ledger: LedgerService | None, order: Order, product: Product
    ) -> Generator[simpy.Event, Any, Product]:
        assert ledger is not None, "without a ledger there is nothing to copy from"
        number = order.round
        if not self._attack.active(number):
            return product
        while round_status(ledger.copy, number) == OPEN:
            victim = self._someone(ledger, number)
            if victim is not None:
                self._attacker.note(self._attack, number, f"of hospital {victim}")
                self._victim[number] = victim
                stolen = self._seen.get(number, {}).get(victim)
                return product if stolen is None else _with_model(product, stolen)
            yield ledger.node.env.timeout(LOOK_US)
        return product

    def _someone(self, ledger: LedgerService, number: int) -> int | None:
        """An honest hospital that can be copied now: its update is here, or will be sealed."""
        for hospital in range(self._attacker.hospitals):
            if hospital in self._attacker.circle.members:
                continue
            known = commit_of(ledger.copy, number, hospital) is not None
            if hospital in self._seen.get(number, {}) or (_sealed(ledger) and known):
                return hospital
        return None

    def commits(self, ledger: LedgerService, order: Order, body: Body) -> list[Body]:
        victim = self._victim.get(order.round)
        found = None if victim is None else commit_of(ledger.copy, order.round, victim)
        if found is None or not _sealed(ledger):
            return [body]
        self._claimed.add(order.round)
        return [{**body, "commitment": found.commitment, "examples": found.examples}]

    def reply(self, reply: Reply) -> Reply:
        victim = self._victim.get(reply.round)
        stolen = None if victim is None else self._seen.get(reply.round, {}).get(victim)
        if stolen is None or reply.round not in self._claimed:
            return reply
        return dataclasses.replace(
            reply, model=stolen.model, report=stolen.report, salt=stolen.salt
        )


def _sealed(ledger: LedgerService) -> bool:
    return parameters(ledger.copy).protocol == "commit_reveal"


def _with_model(product: Product, stolen: Reply) -> Product:
    """A stolen update as if it had been learnt here."""
    return dataclasses.replace(product, model=stolen.model, root=root_of(stolen.model))
