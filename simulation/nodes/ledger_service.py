"""One node's part in keeping the ledger: it executes, attests and follows.

A *replica* executes what its consensus core decides, signs the new header and collects the others'
signatures into a certificate. A *follower* (the coordinator, and hospitals outside the replica set)
receives certified blocks from f + 1 replicas, so that at least one feeder is honest, and executes
them again. Either way everything that the node believes comes from its own copy; which of the two
it is, too (`simulation.nodes.roles`). What a node asks the ledger for is in
`simulation.nodes.ledger_client`.
"""

from __future__ import annotations

from collections.abc import Callable

from simulation.base.digest import Digest, Tag, short, tagged_hash
from simulation.base.ids import NodeId
from simulation.base.keys import SigningKey
from simulation.consensus.protocol import Decide, Request
from simulation.ledger.block import Attestation, Certificate
from simulation.ledger.copy import LedgerCopy, LedgerFault
from simulation.nodes.instance import Record
from simulation.nodes.ledger_client import LedgerClient
from simulation.nodes.ledger_sync import LedgerSync
from simulation.nodes.messages import Attest, PushBlock, Submit
from simulation.nodes.node import Node
from simulation.nodes.outbox import request_of
from simulation.nodes.roles import Casting, Roles
from simulation.trace.events import BlockAppended, BlockCertified, Reported


class LedgerService(LedgerClient):
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
        super().__init__(node, copy, key, expiry_blocks, record)
        self.order: Callable[[Request], None] = _nothing
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
        self._sync: LedgerSync | None = None
        self._forgotten = False
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

    def repeat(self, request: Request) -> None:
        """§4.1: a request without a result in time goes to all replicas."""
        if self.votes:
            self.order(request)
        else:
            self.node.broadcast(self.roles.voters, Submit(request))

    @property
    def misses(self) -> bool:
        """Whether messages of this node may get lost."""
        return self._sync is not None

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
            self.repeat(request)

    def _step_back(self) -> None:
        """The others have ended this epoch: be handed the blocks that are left of it."""
        self._stepped_back = True
        self.on_step_back()
        if self._sync is not None:
            self._sync.ask()

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
            self.changed()
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
        self.changed()

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
        self.changed()

    # ---- a crash --------------------------------------------------------------------------------

    def crash(self, lose_memory: bool) -> None:
        """Who waited is gone; so, with the memory, is everything but the store and the outbox."""
        self.nobody_waits()
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
            self.repeat(request_of(signed))
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
            self.changed()

    def _followed(self, feeder: NodeId, pushed: PushBlock) -> bool:
        costs = self.node.costs
        self.node.charge(
            costs.checking_us(len(pushed.certificate.signatures))
            + costs.executing_us(len(pushed.block.transactions))
        )
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
        self.record(Reported(now, self.node.id, "bad-block", header.view, header.height, detail))

    # ---- trace ----------------------------------------------------------------------------------

    def _appended(self) -> None:
        tip = self.copy.tip
        count = len(self.copy.block(tip.height).transactions)
        self.record(
            BlockAppended(
                self.node.env.now, self.node.id, tip.height,
                short(tip.digest), short(tip.state_root), count,
            )
        )  # fmt: skip

    def _certified(self, height: int, certificate: Certificate) -> None:
        now, signers = self.node.env.now, len(certificate.signatures)
        self.record(BlockCertified(now, self.node.id, height, signers))
        if height + 1 == self.copy.epoch.since:
            self.on_settled()


def _nothing(*_: object) -> None:
    """There is no core here."""
