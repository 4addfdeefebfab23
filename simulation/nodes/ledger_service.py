"""One node's view of the ledger: it executes, attests, follows, submits and waits.

A *replica* executes what its consensus core decides, signs the new header and collects the others'
signatures into a certificate. A *follower* (the coordinator, and hospitals outside the replica set)
receives certified blocks from f + 1 replicas, so that at least one feeder is honest, and executes
them again. Either way everything that the node believes comes from its own copy.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from simulation.base.digest import Digest, Tag, short, tagged_hash
from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.keys import SigningKey
from simulation.base.units import US_PER_S, format_us
from simulation.consensus.protocol import Decide, Request
from simulation.contracts.membership import key_of, last_sequence
from simulation.ledger.block import Attestation, Certificate
from simulation.ledger.copy import LedgerCopy, LedgerFault
from simulation.ledger.signatures import is_signature
from simulation.ledger.transaction import Transaction
from simulation.nodes.ledger_sync import LedgerSync
from simulation.nodes.messages import Attest, PushBlock, Submit
from simulation.nodes.node import Node
from simulation.trace.events import (
    BlockAppended,
    BlockCertified,
    Event,
    Reported,
    TransactionExecuted,
    TransactionSubmitted,
)

Record = Callable[[Event], None]
Waiting = Generator[simpy.Event, Any, Any]

RETRY_US = 4 * US_PER_S
"""When a request that is not executed is submitted again, in a network that loses messages."""
PATIENCE_US = 900 * US_PER_S
"""How long the ledger may stand still under somebody's request before the run is given up: far more
than all doublings of a view change's timers together."""


class Standstill(RuntimeError):
    """The ledger has not moved for so long that it never will."""

    def __init__(self, node: NodeId, kind: str, t_us: int) -> None:
        super().__init__(
            f"node {node} waits for its {kind}, and its ledger has not grown for "
            f"{format_us(PATIENCE_US)}"
        )
        self.t_us = t_us


@dataclass(frozen=True, slots=True)
class Executed:
    """What became of a submitted transaction on the submitter's own copy."""

    height: int
    accepted: bool
    code: str


class LedgerService:
    """The ledger as one node sees it.

    ``propose`` hands a request to ordering: to the local core for a replica, by a message to the
    feeding replicas for a follower.
    """

    def __init__(
        self,
        node: Node,
        copy: LedgerCopy,
        key: SigningKey,
        expiry_blocks: int,
        record: Record,
    ) -> None:
        self.node = node
        self.copy = copy
        self.on_request: Callable[[Request], None] = _ignore
        """Called with every request that this node submits, before anybody else sees it."""
        self.reload: Callable[[], LedgerCopy] | None = None
        """Reads the copy again from its store, after a loss of memory."""
        self.stir: Callable[[], None] = _nothing
        """Has the replica's core ask the others what it has missed."""
        self.gives_up = False
        """Whether this node's request ends the run when the ledger does not move any more."""
        self._sync: LedgerSync | None = None
        self._forgotten = False
        self._open: dict[int, tuple[str, Request]] = {}
        """Signed and not executed yet, by sequence number: on disk before it is sent, because the
        ledger takes a member's transactions without gaps only."""
        self._key = key
        self._expiry_blocks = expiry_blocks
        self._record = record
        self._seq = 0
        self._waiting: list[tuple[Callable[[], bool], simpy.Event]] = []
        self._early: dict[int, list[tuple[NodeId, PushBlock]]] = {}
        self._peers: Sequence[NodeId] = ()
        self._followers: Sequence[NodeId] = ()
        self.propose: Callable[[Request], None] = self._submit_to_feeders
        self._feeders: Sequence[NodeId] = ()

    # ---- roles ----------------------------------------------------------------------------------

    def serve(self, peers: Sequence[NodeId], followers: Sequence[NodeId]) -> None:
        """Become a replica that attests with ``peers`` and feeds ``followers``."""
        self._peers, self._followers = peers, followers
        self.node.on(Attest, self._on_attest)
        self.node.on(Submit, lambda _, message: self.propose(message.request))

    def follow(self, feeders: Sequence[NodeId]) -> None:
        """Become a follower fed by these replicas."""
        self._feeders = feeders
        self.node.on(PushBlock, self._on_block)

    # ---- what a client of the ledger does -------------------------------------------------------

    def submit(self, kind: str, body: Mapping[str, Value]) -> Waiting:
        """Sign and submit a transaction; the process returns `Executed` from the own copy."""
        env = self.node.env
        self._seq += 1
        signed = Transaction(
            chain=self.copy.genesis.chain_id,
            sender=self.node.id,
            seq=self._seq,
            expiry=self.copy.height + self._expiry_blocks,
            kind=kind,
            body=body,
        ).sign(self._key)
        start_us = env.now
        name = short(signed.id)
        size = len(signed.encoded)
        self._record(TransactionSubmitted(start_us, self.node.id, kind, name, size))
        request = Request(self.node.id, self._seq, signed.encoded)
        self._open[self._seq] = (kind, request)
        self.on_request(request)
        self.propose(request)
        executed = self.when(lambda: self.copy.outcome(signed.id) is not None)
        yield from self._insist(executed, request, kind)
        self._open.pop(request.timestamp, None)
        found = self.copy.outcome(signed.id)
        assert found is not None, "the condition waited for holds"
        height, outcome = found
        self._record(
            TransactionExecuted(
                env.now, self.node.id, kind, name, height,
                outcome.accepted, outcome.code, env.now - start_us,
            )
        )  # fmt: skip
        return Executed(height, outcome.accepted, outcome.code)

    def _insist(self, executed: simpy.Event, request: Request, kind: str) -> Waiting:
        """Wait for an execution; repeat the request where it may get lost; give up in the end."""
        env, height, grown_us = self.node.env, self.copy.height, self.node.env.now
        while not executed.triggered:
            awaited = [executed]
            if self._sync is not None or self.gives_up:
                awaited.append(env.timeout(PATIENCE_US if self._sync is None else RETRY_US))
            yield env.any_of(awaited)
            if executed.triggered:
                return
            if self.copy.height > height:
                height, grown_us = self.copy.height, env.now
            elif self.gives_up and env.now - grown_us >= PATIENCE_US:
                raise Standstill(self.node.id, kind, env.now)
            self._repeat(request)

    def open_requests(self) -> list[str]:
        """What this node has submitted and not seen executed."""
        done = last_sequence(self.copy, self.node.id)
        return [f"{kind} {seq}" for seq, (kind, _) in self._open.items() if seq > done]

    def _repeat(self, request: Request) -> None:
        """§4.1: a request without a result in time goes to all replicas."""
        if self._feeders:
            self.node.broadcast(range(self.copy.genesis.replicas), Submit(request))
        else:
            self.propose(request)

    def sign(self, statement: Digest) -> bytes:
        """This member's signature of a statement that a contract will read."""
        return self._key.sign(statement)

    @property
    def agreement(self) -> tuple[bytes, bytes]:
        """This member's X25519 keys, secret and public, with which it opens what is for it."""
        return self._key.agreement, self._key.public.agreement

    def has_signed(self, member: NodeId, statement: Digest, signature: bytes) -> bool:
        """Whether this is a member's signature of a statement, by the own copy's keys."""
        key = key_of(self.copy, member)
        return key is not None and is_signature(key, statement, signature)

    def when(self, condition: Callable[[], bool]) -> simpy.Event:
        """An event that fires as soon as a fact about the own copy holds."""
        event = self.node.env.event()
        if condition():
            event.succeed()
        else:
            self._waiting.append((condition, event))
        return event

    def is_certified(self, height: int) -> bool:
        """Whether the own copy holds a quorum certificate for the block at ``height``."""
        return self.copy.certificate(height) is not None

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for condition, event in waiting:
            if condition():
                event.succeed()
            else:
                self._waiting.append((condition, event))

    def _submit_to_feeders(self, request: Request) -> None:
        self.node.broadcast(self._feeders, Submit(request))

    # ---- replica --------------------------------------------------------------------------------

    def execute(self, decision: Decide) -> Digest:
        """Execute a decided batch; returns the digest that stands for the state after it."""
        block = self.copy.execute(
            [request.payload for request in decision.batch.requests],
            view=decision.view,
            proposer=decision.proposer,
            time_us=decision.batch.time_us,
        )
        if block is not None:
            self._appended()
            attestation = self.copy.attest(self._key)
            self.node.broadcast(self._peers, Attest(attestation))
            self._count(attestation)
            self._changed()
        return tagged_hash(Tag.STATE, self.copy.tip.digest)

    def _on_attest(self, sender: NodeId, message: Attest) -> None:
        if message.attestation.signer == sender:
            self._count(message.attestation)

    def _count(self, attestation: Attestation) -> None:
        """Count a signature; when it completes a certificate, pass the block on to followers."""
        certificate = self.copy.add_attestation(attestation)
        if certificate is None:
            return
        self._certified(attestation.height, certificate)
        if self._followers:
            block = self.copy.block(attestation.height)
            self.node.broadcast(self._followers, PushBlock(block, certificate))
        self._changed()

    # ---- what was missed ------------------------------------------------------------------------

    def synchronise(self) -> None:
        """Ask around from now on: the network loses messages, or nodes crash."""
        self._sync = LedgerSync(
            self.node,
            lambda: self.copy,
            self._key,
            certified=self._proven,
            accuse=self._accuse,
            stuck=self.stir,
        )

    def _proven(self, height: int, certificate: Certificate) -> None:
        self._certified(height, certificate)
        self._changed()

    # ---- a crash --------------------------------------------------------------------------------

    def crash(self, lose_memory: bool) -> None:
        """Who waited is gone; so, with the memory, is everything but the store and the outbox."""
        self._waiting.clear()
        self._early.clear()
        self._forgotten = self._forgotten or lose_memory

    def restore(self) -> None:
        """Read the copy from its store when memory was lost."""
        if self._forgotten and self.reload is not None:
            self.copy = self.reload()
        self._forgotten = False

    def resume(self) -> None:
        """Submit again what is not executed, and ask for what was missed."""
        done = last_sequence(self.copy, self.node.id)
        self._open = {seq: entry for seq, entry in self._open.items() if seq > done}
        for _, request in self._open.values():
            self._repeat(request)
        if self._sync is not None:
            self._sync.ask()

    # ---- follower -------------------------------------------------------------------------------

    def _on_block(self, sender: NodeId, message: PushBlock) -> None:
        height = message.block.header.height
        if height <= self.copy.height:
            return
        self._early.setdefault(height, []).append((sender, message))
        while (copies := self._early.pop(self.copy.height + 1, None)) is not None:
            if not any(self._followed(feeder, pushed) for feeder, pushed in copies):
                return

    def _followed(self, feeder: NodeId, pushed: PushBlock) -> bool:
        try:
            self.copy.follow(pushed.block, pushed.certificate)
        except LedgerFault as fault:
            # Another feeder will bring the true block.
            self._accuse(feeder, pushed, fault)
            return False
        self._appended()
        self._certified(pushed.block.header.height, pushed.certificate)
        self._changed()
        return True

    def _accuse(self, sender: NodeId, pushed: PushBlock, fault: LedgerFault) -> None:
        """Put a lie on record."""
        header, now = pushed.block.header, self.node.env.now
        detail = f"from {sender}: {fault}"
        self._record(Reported(now, self.node.id, "bad-block", header.view, header.height, detail))

    # ---- trace ----------------------------------------------------------------------------------

    def _appended(self) -> None:
        tip = self.copy.tip
        count = len(self.copy.block(tip.height).transactions)
        self._record(
            BlockAppended(
                self.node.env.now, self.node.id, tip.height,
                short(tip.digest), short(tip.state_root), count,
            )
        )  # fmt: skip

    def _certified(self, height: int, certificate: Certificate) -> None:
        now, signers = self.node.env.now, len(certificate.signatures)
        self._record(BlockCertified(now, self.node.id, height, signers))


def _ignore(_: Request) -> None:
    """Nobody wants to know."""


def _nothing() -> None:
    """There is no core here."""
