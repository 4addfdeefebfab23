"""Ledger copies in a network that loses messages: each asks around for what it lacks.

A copy lacks a certificate when attestations were lost, or blocks when its node was cut off or down.
Every so often it tells one replica what it has, each in turn, and is sent certified blocks; nothing
has to be believed, because a certificate proves its block. A *follower* appends those blocks. A
*replica* takes certificates only: which batch is next is for consensus to say, so one that learns
of blocks beyond its own has its core ask the others. The exception is a replica whose epoch is over
for the others: nobody orders in it any more, so it follows until it has reached the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from simulation.base.ids import NodeId
from simulation.base.units import US_PER_S
from simulation.consensus.protocol import HEADER_BYTES, SIGNATURE_BYTES
from simulation.ledger.block import Certificate, attest
from simulation.ledger.copy import LedgerCopy, LedgerFault
from simulation.network.clock import Alarm
from simulation.nodes.messages import Attest, PushBlock
from simulation.nodes.node import Node
from simulation.nodes.outbox import Outbox
from simulation.nodes.roles import Casting, Roles

ASK_EVERY_US = 3 * US_PER_S
"""How often a node asks."""
AT_ONCE = 16
"""The most blocks, or certificates, that are asked for and sent at once."""


@dataclass(frozen=True, slots=True)
class AskBlocks:
    """A node says how high its copy is, and which of its blocks have no certificate yet."""

    kind: ClassVar[str] = "ask-blocks"
    height: int
    uncertified: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        return HEADER_BYTES + SIGNATURE_BYTES + 8 * len(self.uncertified)

    @property
    def verifications(self) -> int:
        return 1

    @property
    def hashed_bytes(self) -> int:
        return 0


class Side(Protocol):
    """What a node knows of the ledger; see `simulation.nodes.ledger_service`."""

    copy: LedgerCopy
    outbox: Outbox
    casting: Casting

    @property
    def roles(self) -> Roles:
        """Who has which part in the epoch of the next block."""
        ...

    @property
    def settled_epoch(self) -> int:
        """The newest epoch whose beginning is certified on the own copy."""
        ...


class LedgerSync:
    """Asks for one node, and answers others.

    Args:
        node: whose.
        side: its side of the ledger, as it is now.
        certified: told of each certificate that has come.
        accuse: told who has sent a block that no certificate certifies.
        stuck: called when others are known to be ahead and nothing has come since the last round.
        superseded: called when so many replicas of the own epoch say that it is over, under a
            certificate, that an honest one is among them.
    """

    def __init__(
        self,
        node: Node,
        side: Side,
        *,
        certified: Callable[[int, Certificate], None],
        accuse: Callable[[NodeId, PushBlock, LedgerFault], None],
        stuck: Callable[[], None],
        superseded: Callable[[], None],
    ) -> None:
        self._node = node
        self._side = side
        self._certified, self._accuse, self._stuck = certified, accuse, stuck
        self._superseded = superseded
        self._next = node.id
        self._known = 0
        self._last_height = 0
        self._later: dict[NodeId, int] = {}
        """What epoch a replica says it has reached."""
        node.on(AskBlocks, self._on_ask)
        self._alarm = Alarm(node.env, self._ring)
        if side.roles.peers or side.copy.genesis.quorums:
            self._alarm.arm(node.env.now + ASK_EVERY_US)

    # ---- asking ---------------------------------------------------------------------------------

    def ask(self) -> None:
        """Tell the next replica what this node has."""
        copy, others = self._side.copy, self._side.roles.peers
        missing = copy.uncertified(AT_ONCE)
        if others and (missing or not self._side.casting.is_gone(copy, self._node.id)):
            self._next += 1
            replica = others[self._next % len(others)]
            self._node.send(replica, AskBlocks(copy.height, missing))

    def _ring(self) -> None:
        self._alarm.arm(self._node.env.now + ASK_EVERY_US)
        if self._node.down:
            return
        height = self._side.copy.height
        if self._known > height == self._last_height:
            self._stuck()
        self._last_height = height
        self.ask()

    # ---- answering ------------------------------------------------------------------------------

    def _on_ask(self, sender: NodeId, ask: AskBlocks) -> None:
        """Send certified blocks; where there is no certificate yet, the own signature for one."""
        copy, me = self._side.copy, self._node.id
        last = min(ask.height + AT_ONCE, self._side.casting.readable_to(copy, sender))
        for height in (*ask.uncertified[:AT_ONCE], *range(ask.height + 1, last + 1)):
            if not 0 < height <= copy.height:
                continue
            block, certificate = copy.block(height), copy.certificate(height)
            if certificate is not None:
                pushed = PushBlock(block, certificate, self._side.settled_epoch)
                self._node.send(sender, pushed)
            elif height <= ask.height and {me, sender} <= copy.voters_at(height).keys.keys():
                key = self._side.outbox.voting_key(height)
                self._node.send(sender, Attest(attest(block.header, me, key)))

    def on_block(self, sender: NodeId, pushed: PushBlock) -> None:
        """Take the certificate; the block itself is for consensus to bring a replica."""
        copy, header = self._side.copy, pushed.block.header
        if not copy.is_certified(header.height):
            signatures = len(pushed.certificate.signatures)
            self._node.charge(self._node.costs.checking_us(signatures))
        if header.height > copy.height:
            voters = copy.epoch.voters
            if pushed.certificate.fault(header, voters) is None:
                self._known = max(self._known, header.height)
            if sender in voters.keys:
                self._later[sender] = pushed.epoch
            later = [r for r in voters.ids if self._later.get(r, 0) > copy.epoch.number]
            if len(later) >= voters.holders:
                self._superseded()
            return
        try:
            fresh = copy.add_certificate(header.height, pushed.certificate)
        except LedgerFault as fault:
            self._accuse(sender, pushed, fault)
            return
        if fresh:
            self._certified(header.height, pushed.certificate)
