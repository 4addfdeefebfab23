"""Ledger copies in a network that loses messages: each asks around for what it lacks.

A copy lacks a certificate when attestations were lost, or blocks when its node was cut off or down.
Every so often it tells one replica what it has, each in turn, and is sent certified blocks; nothing
has to be believed, because a certificate proves its block. A *follower* appends those blocks. A
*replica* takes certificates only: which batch is next is for consensus to say, so one that learns
of blocks beyond its own has its core ask the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from simulation.base.ids import NodeId
from simulation.base.keys import SigningKey
from simulation.base.units import US_PER_S
from simulation.consensus.protocol import HEADER_BYTES, SIGNATURE_BYTES
from simulation.ledger.block import Certificate, attest
from simulation.ledger.copy import LedgerCopy, LedgerFault
from simulation.network.clock import Alarm
from simulation.nodes.messages import Attest, PushBlock
from simulation.nodes.node import Node

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


class LedgerSync:
    """Asks for one node, and answers others if it is a replica.

    Args:
        node: whose.
        copy: its ledger copy, as it is now.
        key: signs attestations anew.
        certified: told of each certificate that has come.
        accuse: told who has sent a block that no certificate certifies.
        stuck: called when others are known to be ahead and nothing has come since the last round.
    """

    def __init__(
        self,
        node: Node,
        copy: Callable[[], LedgerCopy],
        key: SigningKey,
        *,
        certified: Callable[[int, Certificate], None],
        accuse: Callable[[NodeId, PushBlock, LedgerFault], None],
        stuck: Callable[[], None],
    ) -> None:
        self._node = node
        self._copy = copy
        self._key = key
        self._certified, self._accuse, self._stuck = certified, accuse, stuck
        replicas = range(copy().genesis.replicas)
        self._others = [replica for replica in replicas if replica != node.id]
        self._next = node.id
        self._known = 0
        self._last_height = 0
        if node.id in replicas:
            node.on(AskBlocks, self._on_ask)
            node.on(PushBlock, self._on_block)
        self._alarm = Alarm(node.env, self._ring)
        if self._others:
            self._alarm.arm(node.env.now + ASK_EVERY_US)

    # ---- asking ---------------------------------------------------------------------------------

    def ask(self) -> None:
        """Tell the next replica what this node has."""
        if self._others:
            self._next += 1
            replica = self._others[self._next % len(self._others)]
            copy = self._copy()
            self._node.send(replica, AskBlocks(copy.height, copy.uncertified(AT_ONCE)))

    def _ring(self) -> None:
        self._alarm.arm(self._node.env.now + ASK_EVERY_US)
        if self._node.down:
            return
        height = self._copy().height
        if self._known > height == self._last_height:
            self._stuck()
        self._last_height = height
        self.ask()

    # ---- answering ------------------------------------------------------------------------------

    def _on_ask(self, sender: NodeId, ask: AskBlocks) -> None:
        """Send certified blocks; where there is no certificate yet, the own signature for one."""
        copy = self._copy()
        beyond = range(ask.height + 1, min(ask.height + AT_ONCE, copy.height) + 1)
        for height in (*ask.uncertified[:AT_ONCE], *beyond):
            if not 0 < height <= copy.height:
                continue
            block, certificate = copy.block(height), copy.certificate(height)
            if certificate is not None:
                self._node.send(sender, PushBlock(block, certificate))
            elif height <= ask.height and sender in self._others:
                self._node.send(sender, Attest(attest(block.header, self._node.id, self._key)))

    def _on_block(self, sender: NodeId, pushed: PushBlock) -> None:
        """A replica takes the certificate; the block itself is for consensus to bring."""
        copy, header = self._copy(), pushed.block.header
        if header.height > copy.height:
            if pushed.certificate.fault(header, copy.epoch.voters) is None:
                self._known = max(self._known, header.height)
            return
        try:
            fresh = copy.add_certificate(header.height, pushed.certificate)
        except LedgerFault as fault:
            self._accuse(sender, pushed, fault)
            return
        if fresh:
            self._certified(header.height, pushed.certificate)
