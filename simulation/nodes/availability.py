"""The availability certificate: f + 1 replicas have signed that they hold an update.

One of them is honest, so whoever needs the update's bytes can have them from a holder. The owner
asks the replicas that the placement gives its objects to; when they do not answer, all of them.

Source: the project's protocol, section 3 (reveal).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from simulation.base.digest import Digest
from simulation.base.ids import NodeId
from simulation.base.units import US_PER_S
from simulation.contracts.commitments import holding
from simulation.contracts.committee import committee
from simulation.contracts.parameters import parameters
from simulation.contracts.rounds import SEALED, round_status
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.messages import Fetch, Holding, Reply, SealedUpdate
from simulation.nodes.shelf import Shelf
from simulation.nodes.update_check import root_of_any
from simulation.vault.store import cid_of

HOLDERS_US = 5 * US_PER_S
"""How long a hospital waits for holders before it asks those that have not answered again."""

Holdings = dict[NodeId, bytes]
"""Signatures by holder."""


@dataclass(slots=True)
class _Wanted:
    """What is to be signed, and who has."""

    statement: Digest
    enough: simpy.Event
    held: Holdings = field(default_factory=dict[NodeId, bytes])


class Availability:
    """One hospital's part in availability certificates: it signs for others, and collects its own.

    Args:
        ledger: the hospital's.
        shelf: what it holds.
    """

    def __init__(self, ledger: LedgerService, shelf: Shelf) -> None:
        self._ledger = ledger
        self._node = ledger.node
        self._shelf = shelf
        self._known = parameters(ledger.copy)
        self._wanted: dict[int, _Wanted] = {}
        shelf.vouch = self.vouch
        self._node.on(Holding, self._on_holding)

    # ---- for others -----------------------------------------------------------------------------

    def vouch(self, update: SealedUpdate, reply: Reply) -> None:
        """Sign for an update that is checked and kept, if one is a replica."""
        if self._node.id not in committee(self._ledger.copy).replicas:
            return
        statement = self._statement(
            update.round, update.hospital, root_of_any(reply.model), cid_of(update.sealed)
        )
        message = Holding(update.round, update.hospital, self._ledger.sign(statement))
        if update.hospital == self._node.id:
            self._on_holding(self._node.id, message)
        else:
            self._node.send(update.hospital, message)

    # ---- for oneself ----------------------------------------------------------------------------

    def want(self, number: int, root: Digest, cid: str) -> None:
        """Collect signatures for one's own object from now on."""
        statement = self._statement(number, self._node.id, root, cid)
        self._wanted = {number: _Wanted(statement, self._node.env.event())}

    def certificate(self, number: int) -> Generator[simpy.Event, Any, Holdings | None]:
        """Enough signatures for what was wanted; None when the phase is over before."""
        env, ledger, wanted = self._node.env, self._ledger, self._wanted[number]
        over = ledger.when(lambda: round_status(ledger.copy, number) != SEALED)
        while not (wanted.enough.triggered or over.triggered):
            yield env.any_of([wanted.enough, over, env.timeout(HOLDERS_US)])
            if not (wanted.enough.triggered or over.triggered):
                self._node.broadcast(
                    self._silent(wanted), Fetch(number, self._node.id, signature=True)
                )
        return wanted.held if wanted.enough.triggered else None

    def _silent(self, wanted: _Wanted) -> Sequence[NodeId]:
        return [r for r in committee(self._ledger.copy).replicas if r not in wanted.held]

    def _on_holding(self, sender: NodeId, message: Holding) -> None:
        """Count a holder's signature, if it is one and of this statement."""
        wanted = self._wanted.get(message.round)
        if wanted is None or message.hospital != self._node.id:
            return
        voting = committee(self._ledger.copy)
        if wanted.enough.triggered or sender not in voting.replicas:
            return
        if self._ledger.has_signed(sender, wanted.statement, message.signature):
            wanted.held[sender] = message.signature
        if len(wanted.held) >= voting.holders:
            wanted.enough.succeed()

    def _statement(self, number: int, owner: NodeId, root: Digest, cid: str) -> Digest:
        chain = self._ledger.copy.genesis.chain_id
        return holding(chain, self._known.name, number, owner, root, cid)
