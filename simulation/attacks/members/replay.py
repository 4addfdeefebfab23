"""Replays: something that was once signed comes again, where it does not belong."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.base.digest import Tag, tagged_hash
from simulation.base.encoding import EncodingError
from simulation.consensus.protocol import Request
from simulation.contracts.rounds import commit_of
from simulation.ledger.transaction import SignedTransaction
from simulation.nodes.conduct import Body, Conduct
from simulation.nodes.learner import Product
from simulation.nodes.messages import Order, Reply

if TYPE_CHECKING:
    import simpy

    from simulation.ledger.copy import LedgerCopy
    from simulation.nodes.ledger_service import LedgerService

REQUESTS_FROM = 1 << 40
"""A replayed transaction comes in a new request with a number that no honest request of the node
has, since consensus itself drops a request that it has executed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayAttack(HospitalAttack):
    """From its second round on, brings back something of the round before."""

    kind: Literal["replay"] = "replay"
    """Names this attack."""
    what: Literal["own", "other", "chain", "round"] = "own"
    """What comes again: its ``own`` transaction, byte for byte; the transaction of an ``other``
    hospital; its own, signed for another ``chain``; or last ``round``'s commitment and update, in
    a fresh transaction."""

    ledgers: ClassVar[tuple[str, ...]] = ("hash_only", "commit_reveal")
    stopped_by: ClassVar[str] = (
        "chain, sequence number and expiry in what is signed; round and base model in the "
        "commitment"
    )

    def conduct(self, attacker: Attacker) -> Conduct:
        return _Recommitting(self, attacker) if self.what == "round" else _Replaying(self, attacker)


class _Replaying(Conduct):
    """Orders old bytes again, and notes what the ledger makes of them."""

    def __init__(self, attack: ReplayAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker

    def prepare(
        self, ledger: LedgerService | None, order: Order, product: Product
    ) -> Generator[simpy.Event, Any, Product]:
        assert ledger is not None, "without a ledger there is nothing to replay"
        if self._attack.active(order.round):
            payload = self._payload(ledger, order.round)
            if payload is not None:
                ledger.node.env.process(self._again(ledger, order.round, payload))
        yield from ()
        return product

    def _payload(self, ledger: LedgerService, number: int) -> bytes | None:
        me, what = self._attacker.node.id, self._attack.what
        for data, signed in _commits(ledger.copy, number - 1):
            if (signed.transaction.sender == me) == (what == "other"):
                continue
            if what == "chain":
                elsewhere = tagged_hash(Tag.BLOCK, signed.transaction.chain)
                foreign = dataclasses.replace(signed.transaction, chain=elsewhere)
                return SignedTransaction(foreign, ledger.sign(foreign.signing_digest)).encoded
            return data
        return None

    def _again(
        self, ledger: LedgerService, number: int, payload: bytes
    ) -> Generator[simpy.Event, Any, None]:
        height = ledger.copy.height
        request = Request(ledger.node.id, REQUESTS_FROM + number, payload)
        ledger.on_request(request)
        ledger.propose(request)
        yield ledger.when(lambda: _fate(ledger.copy, payload, height) is not None)
        code = _fate(ledger.copy, payload, height)
        self._attacker.note(self._attack, number, f"{self._attack.what}: {code}")


class _Recommitting(Conduct):
    """Commits what it had committed in the round before, and opens it the same way."""

    def __init__(self, attack: ReplayAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker
        self._sent: dict[int, Reply] = {}

    def commits(self, ledger: LedgerService, order: Order, body: Body) -> list[Body]:
        old = commit_of(ledger.copy, order.round - 1, ledger.node.id)
        if old is None or not self._repeats(order.round):
            return [body]
        self._attacker.note(self._attack, order.round, "round")
        return [{**body, "commitment": old.commitment, "cid": old.cid}]

    def reply(self, reply: Reply) -> Reply:
        if self._repeats(reply.round):
            old = self._sent[reply.round - 1]
            reply = dataclasses.replace(reply, model=old.model, salt=old.salt)
        self._sent[reply.round] = reply
        return reply

    def _repeats(self, number: int) -> bool:
        return self._attack.active(number) and number - 1 in self._sent


def _commits(copy: LedgerCopy, number: int) -> Iterator[tuple[bytes, SignedTransaction]]:
    """The accepted commitments of a round, as bytes and as what they say, in the ledger's order."""
    for height in range(1, copy.height + 1):
        block = copy.block(height)
        for data, outcome in zip(block.transactions, block.outcomes, strict=True):
            if not outcome.accepted:
                continue
            try:
                signed = SignedTransaction.decode(data)
            except EncodingError:
                continue
            said = signed.transaction
            if said.kind == "task.commit" and said.body.get("round") == number:
                yield data, signed


def _fate(copy: LedgerCopy, payload: bytes, above: int) -> str | None:
    """What became of bytes that were ordered above a height; none while they are not."""
    for height in range(above + 1, copy.height + 1):
        block = copy.block(height)
        for data, outcome in zip(block.transactions, block.outcomes, strict=True):
            if data == payload:
                return "accepted" if outcome.accepted else outcome.code
    return None
