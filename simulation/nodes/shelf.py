"""The updates that a node holds, and how it comes by those that it lacks.

Every update that reaches a node is held against the node's own ledger copy before it is kept. Who
lacks one that the ledger says is revealed asks the replicas that have signed for it, one after the
other: one of them is honest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import simpy

from simulation.base.ids import HospitalId, NodeId
from simulation.base.units import US_PER_S
from simulation.contracts.rounds import Opening, RoundState, read_round
from simulation.nodes.ledger_service import LedgerService, Record
from simulation.nodes.messages import Fetch, Fetched, Reply
from simulation.nodes.update_check import Declared, Layout, Verdict, check_update
from simulation.trace.events import UpdateChecked
from simulation.vault.store import Vault

PATIENCE_US = US_PER_S
"""How long a node waits for an update, from its sender or from a holder, before it asks on."""
KEPT_ROUNDS = 2
"""Updates of older rounds lie in the vault; nobody asks for them any more."""


class Shelf:
    """One node's checked updates by round and hospital.

    ``layout`` is that of the task's model, where an update has to have it.
    """

    def __init__(
        self,
        ledger: LedgerService,
        record: Record,
        declared: Declared,
        vault: Vault | None,
        layout: Layout | None,
    ) -> None:
        self._ledger = ledger
        self._node = ledger.node
        self._record = record
        self._declared = declared
        self._vault = vault
        self._layout = layout
        self.vouch: Callable[[Reply], None] = _nobody
        """Signs for an update that is held, once more."""
        self._held: dict[tuple[int, HospitalId], Reply] = {}
        self._awaited: dict[tuple[int, HospitalId], simpy.Event] = {}
        self._node.on(Fetch, self._on_fetch)
        self._node.on(Fetched, lambda _, message: self._on_fetched(message.reply))

    def get(self, number: int, hospital: HospitalId) -> Reply | None:
        """A hospital's checked update, if it is here."""
        return self._held.get((number, hospital))

    def check(self, reply: Reply) -> Verdict:
        """Hold an update against the own ledger; keep it when it is what was committed."""
        copy = self._ledger.copy
        state = read_round(copy, reply.round)
        verdict = check_update(reply, state, copy, self._declared, self._layout)
        if verdict.accepted:
            self.keep(reply)
        self._record(
            UpdateChecked(
                self._node.env.now, reply.round, reply.hospital, self._node.id,
                verdict.accepted, verdict.reason,
            )
        )  # fmt: skip
        return verdict

    def keep(self, reply: Reply) -> None:
        """Keep an update that is known to be what was committed."""
        key = (reply.round, reply.hospital)
        self._held[key] = reply
        for old in [k for k in self._held if k[0] <= reply.round - KEPT_ROUNDS]:
            del self._held[old]
        if self._vault is not None:
            self._vault.put(reply.model)
        waiting = self._awaited.pop(key, None)
        if waiting is not None:
            waiting.succeed()

    def collect(
        self, state: RoundState, openings: Sequence[Opening]
    ) -> Generator[simpy.Event, Any, list[Reply]]:
        """The updates behind these openings of a round, asking the holders for what is missing."""
        for opening in openings:
            yield from self._obtain(state.round, opening)
        return [self._held[state.round, opening.hospital] for opening in openings]

    def _obtain(self, number: int, opening: Opening) -> Generator[simpy.Event, Any, None]:
        env, key, asked = self._node.env, (number, opening.hospital), 0
        while key not in self._held:
            arrival = self._awaited.setdefault(key, env.event())
            yield env.any_of([arrival, env.timeout(PATIENCE_US)])
            holders = [h for h in opening.holders if h != self._node.id]
            if key not in self._held and holders:
                self._node.send(holders[asked % len(holders)], Fetch(number, opening.hospital))
                asked += 1

    def _on_fetch(self, sender: NodeId, message: Fetch) -> None:
        held = self.get(message.round, message.hospital)
        if held is None:
            return
        if sender == message.hospital:
            # Its owner has the bytes, of course; what it lacks is this holder's signature.
            self.vouch(held)
        else:
            self._node.send(sender, Fetched(held))

    def _on_fetched(self, reply: Reply) -> None:
        if self.get(reply.round, reply.hospital) is None and reply.model:
            self.check(reply)


def _nobody(_: Reply) -> None:
    """This node signs for nothing."""
