"""One node's view of the ledger: it executes, attests, follows, submits and waits.

A *replica* executes what its consensus core decides, signs the new header and collects the others'
signatures into a certificate. A *follower* (the coordinator, and hospitals outside the replica set)
receives certified blocks from f + 1 replicas, so that at least one feeder is honest, and executes
them again. Either way everything that the node believes comes from its own copy; which of the two
it is, too (`simulation.nodes.roles`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import simpy

from simulation.base.digest import Digest, Tag, short, tagged_hash
from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.keys import SigningKey
from simulation.base.units import US_PER_S, format_us
from simulation.consensus.protocol import Decide, Request
from simulation.contracts.members import key_of
from simulation.ledger.block import Attestation, Certificate
from simulation.ledger.copy import LedgerCopy, LedgerFault
from simulation.ledger.signatures import is_signature
from simulation.nodes.instance import Record
from simulation.nodes.ledger_sync import LedgerSync
from simulation.nodes.messages import Attest, PushBlock, Submit
from simulation.nodes.node import Node
from simulation.nodes.outbox import Outbox, request_of
from simulation.nodes.roles import Casting, Roles
from simulation.trace.events import (
    BlockAppended,
    BlockCertified,
    Reported,
    TransactionExecuted,
    TransactionSubmitted,
)

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

    Args:
        node: whose.
        copy: its ledger copy.
        key: the key that it starts with.
        expiry_blocks: for how many blocks its transactions may be executed.
        record: takes the trace's events.
        casting: says who has which part in an epoch.
    """

    def __init__(
        self,
        node: Node,
        copy: LedgerCopy,
        key: SigningKey,
        expiry_blocks: int,
        record: Record,
        casting: Casting,
    ) -> None:
        self.node = node
        self.copy = copy
        self.outbox = Outbox(node.id, lambda: self.copy, key, expiry_blocks)
        self.on_request: Callable[[Request], None] = _ignore
        """Called with every request that this node submits, before anybody else sees it."""
        self.order: Callable[[Request], None] = _ignore
        """Hands a request to the own consensus core."""
        self.on_epoch: Callable[[], None] = _nothing
        """Called when the own copy has reached a new epoch."""
        self.on_settled: Callable[[], None] = _nothing
        """Called when the last block of the epoch before is certified."""
        self.on_step_back: Callable[[], None] = _nothing
        """Called when this replica gives its epoch up, because the others have ended it."""
        self.reload: Callable[[], LedgerCopy] | None = None
        """Reads the copy again from its store, after a loss of memory."""
        self.stir: Callable[[], None] = _nothing
        """Has the replica's core ask the others what it has missed."""
        self.gives_up = False
        """Whether this node's request ends the run when the ledger does not move any more."""
        self._sync: LedgerSync | None = None
        self._forgotten = False
        self._record = record
        self._waiting: list[tuple[Callable[[], bool], simpy.Event]] = []
        self._early: dict[int, list[tuple[NodeId, PushBlock]]] = {}
        self.casting = casting
        self._roles: list[Roles] = [casting.of(copy)]
        """By epoch."""
        self._stepped_back = False
        node.on(Attest, self._on_attest)
        node.on(Submit, lambda _, message: self.propose(message.request))
        node.on(PushBlock, self._on_block)

    # ---- roles ----------------------------------------------------------------------------------

    @property
    def votes(self) -> bool:
        """Whether this node orders and executes with the others; else it follows them."""
        return self.node.id in self.copy.epoch.voters.keys and not self._stepped_back

    @property
    def roles(self) -> Roles:
        """Who has which part in the epoch of the next block."""
        return self._roles[-1]

    def propose(self, request: Request) -> None:
        """Have a request ordered: by the own core, or by the replicas that feed this node."""
        if self.votes:
            self.order(request)
        else:
            self.node.broadcast(self.roles.feeders, Submit(request))

    @property
    def settled_epoch(self) -> int:
        """The newest epoch whose beginning is certified on the own copy."""
        epoch = self.copy.epoch
        settled = epoch.number == 0 or self.is_certified(epoch.since - 1)
        return epoch.number if settled else epoch.number - 1

    def _enter_epoch(self) -> None:
        """If the last block has begun an epoch: take up one's part in it, and ask anew."""
        if len(self._roles) > self.copy.epoch.number:
            return
        self._roles.append(self.casting.of(self.copy))
        self._stepped_back = False
        self._early.clear()
        self.on_epoch()
        for signed, anew in self.outbox.renew():
            request = request_of(signed)
            if anew:
                self.on_request(request)
            self._repeat(request)

    def _step_back(self) -> None:
        """The others have ended this epoch: be handed the blocks that are left of it."""
        self._stepped_back = True
        self.on_step_back()
        if self._sync is not None:
            self._sync.ask()

    # ---- what a client of the ledger does -------------------------------------------------------

    def submit(self, kind: str, body: Mapping[str, Value]) -> Waiting:
        """Sign and submit a transaction; the process returns `Executed` from the own copy."""
        env = self.node.env
        signed = self.outbox.sign(kind, body)
        seq, start_us = signed.transaction.seq, env.now
        size = len(signed.encoded)
        self._record(TransactionSubmitted(start_us, self.node.id, kind, short(signed.id), size))
        request = request_of(signed)
        self.on_request(request)
        self.propose(request)
        executed = self.when(lambda: self.copy.outcome(self.outbox.current(seq).id) is not None)
        yield from self._insist(executed, seq, kind)
        signed = self.outbox.current(seq)
        self.outbox.close(seq)
        found = self.copy.outcome(signed.id)
        assert found is not None, "the condition waited for holds"
        height, outcome = found
        self._record(
            TransactionExecuted(
                env.now, self.node.id, kind, short(signed.id), height,
                outcome.accepted, outcome.code, env.now - start_us,
            )
        )  # fmt: skip
        return Executed(height, outcome.accepted, outcome.code)

    def _insist(self, executed: simpy.Event, seq: int, kind: str) -> Waiting:
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
            self._repeat(request_of(self.outbox.current(seq)))

    def open_requests(self) -> list[str]:
        """What this node has submitted and not seen executed."""
        return self.outbox.names()

    def _repeat(self, request: Request) -> None:
        """§4.1: a request without a result in time goes to all replicas."""
        if self.votes:
            self.order(request)
        else:
            self.node.broadcast(self.roles.voters, Submit(request))

    def sign(self, statement: Digest) -> bytes:
        """This member's signature of a statement that a contract will read."""
        return self.outbox.key.sign(statement)

    @property
    def agreement(self) -> tuple[bytes, bytes]:
        """This member's X25519 keys, secret and public, with which it opens what is for it."""
        key = self.outbox.key
        return key.agreement, key.public.agreement

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

    # ---- replica --------------------------------------------------------------------------------

    def execute(self, decision: Decide) -> Digest:
        """Execute a decided batch; returns the digest that stands for the state after it."""
        block = self.copy.execute(
            [request.payload for request in decision.batch.requests],
            view=decision.view,
            proposer=decision.proposer,
            time_us=decision.batch.time_us,
        )
        state = tagged_hash(Tag.STATE, self.copy.tip.digest)
        if block is not None:
            self._appended()
            attestation = self.copy.attest(self.outbox.voting_key(block.header.height))
            self.node.broadcast(self.roles.peers, Attest(attestation))
            self._enter_epoch()
            self._count(attestation)
            self._changed()
        return state

    def _on_attest(self, sender: NodeId, message: Attest) -> None:
        if message.attestation.signer == sender:
            self._count(message.attestation)

    def _count(self, attestation: Attestation) -> None:
        """Count a signature; when it completes a certificate, pass the block on to followers."""
        certificate, height = self.copy.add_attestation(attestation), attestation.height
        if certificate is None:
            return
        self._certified(height, certificate)
        then = next(roles for roles in reversed(self._roles) if roles.since <= height)
        if then.fed:
            block = self.copy.block(height)
            self.node.broadcast(then.fed, PushBlock(block, certificate, self.settled_epoch))
        self._changed()

    # ---- what was missed ------------------------------------------------------------------------

    def synchronise(self) -> None:
        """Ask around from now on: the network loses messages, or nodes crash."""
        self._sync = LedgerSync(
            self.node,
            self,
            certified=self._proven,
            accuse=self._accuse,
            stuck=self.stir,
            superseded=self._step_back,
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
        for signed in self.outbox.forget_executed():
            self._repeat(request_of(signed))
        if self._sync is not None:
            self._sync.ask()

    # ---- follower -------------------------------------------------------------------------------

    def _on_block(self, sender: NodeId, message: PushBlock) -> None:
        height = message.block.header.height
        if self._sync is not None and (self.votes or height <= self.copy.height):
            self._sync.on_block(sender, message)
        if self.votes or height <= self.copy.height:
            return
        self._early.setdefault(height, []).append((sender, message))
        while (copies := self._early.pop(self.copy.height + 1, None)) is not None:
            if not any(self._followed(feeder, pushed) for feeder, pushed in copies):
                return
            self._enter_epoch()
            self._changed()

    def _followed(self, feeder: NodeId, pushed: PushBlock) -> bool:
        try:
            self.copy.follow(pushed.block, pushed.certificate)
        except LedgerFault as fault:
            # Another feeder will bring the true block.
            self._accuse(feeder, pushed, fault)
            return False
        self._appended()
        self._certified(pushed.block.header.height, pushed.certificate)
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
        if height + 1 == self.copy.epoch.since:
            self.on_settled()


def _ignore(_: Request) -> None:
    """Nobody wants to know."""


def _nothing() -> None:
    """There is no core here."""
