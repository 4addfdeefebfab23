"""The updates that a node holds, and how it comes by those that it lacks.

Every update that reaches a node is opened and held against the node's own ledger copy before it is
kept. A hospital keeps its own objects, and those that the placement gives it, in its vault, and
takes them from there, checked against their address, whenever it uses them. Who lacks an object
that the ledger says is revealed, or whose vault has lost or altered it, asks the replicas that have
signed for it, one after the other: one of them is honest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import simpy

from simulation.base.ids import HospitalId, NodeId
from simulation.base.units import US_PER_S
from simulation.contracts.rounds import (
    OPEN,
    Opening,
    RoundState,
    commit_of,
    opening_of,
    read_round,
    round_status,
)
from simulation.ledger.copy import LedgerCopy
from simulation.nodes.instance import Record
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.messages import Fetch, Fetched, Reply, SealedUpdate
from simulation.nodes.sealing import Sealed, Sealing
from simulation.nodes.update_check import Declared, Layout, Verdict, check_update
from simulation.trace.events import ObjectFetched, ObjectLost, ObjectRefused, UpdateChecked
from simulation.vault.envelope import EnvelopeError
from simulation.vault.store import Vault, VaultError, cid_of

PATIENCE_US = US_PER_S
"""How long a node waits for an update, from its sender or from a holder, before it asks on."""
KEPT_ROUNDS = 2
"""Updates of older rounds lie in the vaults; nobody asks for them any more."""
SHOWN = 12
"""Characters of an address in the trace: after the prefix that all share."""

Process = Generator[simpy.Event, Any, None]
Start = Callable[[Process], object]
"""Runs a process until it ends or its node crashes."""


Checked = tuple[Verdict, Reply | None]
"""What became of an update: the verdict and, where it could be opened, the update itself."""


@dataclass(frozen=True, slots=True)
class _Held:
    update: SealedUpdate
    """Without its bytes where the vault has them."""
    cid: str
    key: bytes


class Shelf:
    """One node's checked updates by round and hospital.

    Args:
        ledger: the node's.
        record: takes the trace's events.
        declared: reads the weight that an update's report declares.
        sealing: opens objects.
        vault: where objects are kept that are this node's to keep; None keeps all in memory.
        keeps: whose objects those are.
        layout: that of the task's model, where an update has to have it.
    """

    def __init__(
        self,
        ledger: LedgerService,
        record: Record,
        declared: Declared,
        sealing: Sealing,
        vault: Vault | None,
        keeps: Callable[[HospitalId], bool],
        layout: Layout | None,
    ) -> None:
        self.ledger = ledger
        self.sealing = sealing
        self.vault = vault
        self.keeps = keeps
        self.start: Start = ledger.node.env.process
        """Runs what a message sets off."""
        self._node = ledger.node
        self._record = record
        self._declared = declared
        self._layout = layout
        self.vouch: Callable[[SealedUpdate, Reply], None] = _nobody
        """Signs for an update that is held."""
        self._held: dict[tuple[int, HospitalId], _Held] = {}
        self._lost: set[tuple[int, HospitalId]] = set()
        self._unopened: set[tuple[int, HospitalId]] = set()
        self._awaited: dict[tuple[int, HospitalId], simpy.Event] = {}
        self._read: tuple[tuple[LedgerCopy, int, int] | None, RoundState | None] = (None, None)
        """The copy, its height and the round that was read last, and what was read."""
        self._node.on(Fetch, self._on_fetch)
        self._node.on(Fetched, lambda who, message: self.start(self._on_fetched(who, message)))

    # ---- what arrives ---------------------------------------------------------------------------

    def receive(
        self, update: SealedUpdate, observe: Callable[[Reply], None] | None = None
    ) -> Generator[simpy.Event, Any, Checked]:
        """Open an update, and hold it against the own ledger once its commitment is there.

        ``observe`` is told of it as soon as it is open.
        """
        copy, number, hospital = self.ledger.copy, update.round, update.hospital

        def settled() -> bool:
            word = round_status(copy, number)
            if word is None or word != OPEN:
                return word is not None
            return commit_of(copy, number, hospital) is not None

        reply, key = yield from self._open(update)
        if reply is not None and observe is not None:
            observe(reply)
        yield self.ledger.when(settled)
        verdict = self._judge(update, reply, key)
        self._record(
            UpdateChecked(
                self._node.env.now, number, hospital, self._node.id,
                verdict.accepted, verdict.reason,
            )
        )  # fmt: skip
        return verdict, reply

    def _open(
        self, update: SealedUpdate
    ) -> Generator[simpy.Event, Any, tuple[Reply | None, bytes]]:
        number, hospital = update.round, update.hospital
        try:
            opened = yield from self.sealing.open(number, hospital, update.sealed, update.key)
        except EnvelopeError:
            self._unopened.add((number, hospital))
            return None, b""
        return update.opened(opened.model), opened.key

    def _judge(self, update: SealedUpdate, reply: Reply | None, key: bytes) -> Verdict:
        """Keep an update that is what was committed."""
        if reply is None:
            return Verdict(False, "unopened")
        copy = self.ledger.copy
        state = self._round(update.round)
        verdict = check_update(reply, state, copy, self._declared, self._layout)
        if verdict.accepted:
            self.keep(update, Sealed(update.sealed, key))
        return verdict

    def _round(self, number: int) -> RoundState | None:
        """The round on the own copy, read once per block: its updates come at about one time."""
        copy = self.ledger.copy
        read = (copy, copy.height, number)
        if read != self._read[0]:
            self._read = read, read_round(copy, number)
        return self._read[1]

    def keep(self, update: SealedUpdate, sealed: Sealed) -> None:
        """Keep an update that is known to be what was committed."""
        key = (update.round, update.hospital)
        held = _Held(update, cid_of(sealed.data), sealed.key)
        self._held[key] = held
        if self.keeps(update.hospital):
            self._store(held)
        for old in [k for k in self._held if k[0] <= update.round - KEPT_ROUNDS]:
            del self._held[old]
        waiting = self._awaited.pop(key, None)
        if waiting is not None:
            waiting.succeed()

    def _store(self, held: _Held) -> None:
        """Put an object into the vault, and read it from there from now on."""
        if self.vault is None or not held.update.sealed:
            return
        self.vault.put(held.update.sealed)
        key = (held.update.round, held.update.hospital)
        if key not in self._lost:  # a vault that has failed once is not relied upon
            self._held[key] = replace(held, update=replace(held.update, sealed=b""))

    # ---- what is used ---------------------------------------------------------------------------

    def collect(
        self, state: RoundState, openings: Sequence[Opening]
    ) -> Generator[simpy.Event, Any, list[Reply]]:
        """The updates behind these openings of a round, asking the holders for what is missing."""
        found: dict[HospitalId, Reply] = {}
        for opening in openings:
            found[opening.hospital] = yield from self._obtain(state.round, opening)
        return list(found.values())

    def tend(self, state: RoundState) -> Process:
        """Look after the objects of a round that this node has signed for: all there, unchanged."""
        for opening in state.openings.values():
            if self._node.id in opening.holders:
                yield from self._obtain(state.round, opening)

    def _obtain(self, number: int, opening: Opening) -> Generator[simpy.Event, Any, Reply]:
        env, key, asked = self._node.env, (number, opening.hospital), 0
        while (reply := self._take(*key)) is None:
            arrival = self._awaited.setdefault(key, env.event())
            if asked or (key not in self._lost and key not in self._unopened):
                # What was never here may still be on its way; waiting helps nothing else.
                yield env.any_of([arrival, env.timeout(PATIENCE_US)])
            holders = [h for h in opening.holders if h != self._node.id]
            if key not in self._held and holders:
                self._node.send(holders[asked % len(holders)], Fetch(number, opening.hospital))
                asked += 1
        return reply

    def _take(self, number: int, hospital: HospitalId) -> Reply | None:
        """A held update with its model, read from where it is kept."""
        held = self._held.get((number, hospital))
        data = None if held is None else self._bytes(held)
        if held is None or data is None:
            return None
        return held.update.opened(self.sealing.reopen(number, hospital, data, held.key))

    def _bytes(self, held: _Held) -> bytes | None:
        """A held object's bytes; None, and it is held no more, when the vault has them no more."""
        if held.update.sealed or self.vault is None:
            return held.update.sealed
        number, hospital = held.update.round, held.update.hospital
        try:
            return self.vault.get(held.cid)
        except VaultError as error:
            self._lost.add((number, hospital))
            self._held.pop((number, hospital), None)
            self._record(
                ObjectLost(
                    self._node.env.now, number, hospital, self._node.id, _shown(held.cid),
                    error.problem,
                )
            )  # fmt: skip
            return None

    # ---- between holders ------------------------------------------------------------------------

    def _on_fetch(self, sender: NodeId, message: Fetch) -> None:
        number, hospital = message.round, message.hospital
        held = self._held.get((number, hospital))
        if held is None or not self.sealing.may_read(sender, hospital):
            return
        data = self._bytes(held)
        if data is None:
            return
        update = replace(held.update, sealed=data)
        if message.signature:
            self._store(held)
            model = self.sealing.reopen(number, hospital, data, held.key)
            self.vouch(update, update.opened(model))
        else:
            key = self.sealing.wrap(number, hospital, held.key, sender)
            self._node.send(sender, Fetched(replace(update, key=key)))

    def _on_fetched(self, holder: NodeId, message: Fetched) -> Process:
        update, me = message.update, self._node.id
        key = (update.round, update.hospital)
        opening = opening_of(self.ledger.copy, *key)
        if opening is None or key in self._held:
            return
        if cid_of(update.sealed) != opening.cid:
            reason = "wrong-object"
        else:
            reply, opener = yield from self._open(update)
            verdict = self._judge(update, reply, opener)
            reason = "" if verdict.accepted else verdict.reason
        now = self._node.env.now
        if reason:
            self._record(ObjectRefused(now, *key, me, holder, reason))
            return
        restored = key in self._lost
        self._record(ObjectFetched(now, *key, me, holder, _shown(opening.cid), restored))


def _shown(cid: str) -> str:
    return cid[-SHOWN:]


def _nobody(_: SealedUpdate, __: Reply) -> None:
    """This node signs for nothing."""
