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
from simulation.consensus.protocol import Decide, Request
from simulation.ledger.block import Attestation, Certificate
from simulation.ledger.copy import LedgerCopy, LedgerFault
from simulation.ledger.transaction import Transaction
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
        self.propose(Request(self.node.id, self._seq, signed.encoded))
        yield self.when(lambda: self.copy.outcome(signed.id) is not None)
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
            # Another feeder will bring the true block; the lie is on record.
            header = pushed.block.header
            detail = f"from {feeder}: {fault}"
            now = self.node.env.now
            self._record(
                Reported(now, self.node.id, "bad-block", header.view, header.height, detail)
            )
            return False
        self._appended()
        self._certified(pushed.block.header.height, pushed.certificate)
        self._changed()
        return True

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
