"""How a node seals the models that leave it, and opens those of others.

With encryption, an object is an envelope (`simulation.vault.envelope`) for all members of the chain
and its auditor; without, it is the model itself. The keys are the members' own, as the node's
ledger copy has them.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import simpy

from simulation.base.ids import NodeId
from simulation.base.keys import PublicKey
from simulation.base.rng import Streams
from simulation.contracts.committee import committee
from simulation.contracts.member_changes import hospitals
from simulation.contracts.members import HOSPITAL, key_of
from simulation.contracts.parameters import parameters, task_name
from simulation.nodes.ledger_service import LedgerService
from simulation.vault.envelope import AUDITOR, enclose, object_context, read_envelope, unwrap, wrap
from simulation.vault.store import cid_of


@dataclass(frozen=True, slots=True)
class Sealed:
    """An object, and the key that opens it."""

    data: bytes
    """What is stored, sent and addressed."""
    key: bytes
    """Empty where nothing is encrypted."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model as it came out of an object, and the key that opened it."""

    model: bytes
    key: bytes


SealingProcess = Generator[simpy.Event, Any, Sealed]
OpeningProcess = Generator[simpy.Event, Any, Opened]


class Sealing:
    """One node's seals.

    Args:
        ledger: knows the members and their keys, and has the node's own.
        secrets: where the objects' keys and the ephemeral ones come from.
        auditor: public key of who may open everything; None where nothing is encrypted.
    """

    def __init__(self, ledger: LedgerService, secrets: Streams, auditor: bytes | None) -> None:
        self._ledger = ledger
        self._node = ledger.node
        self._secrets = secrets
        self._auditor = auditor

    def seal(self, number: int, model: bytes) -> SealingProcess:
        """A model of this node's, of round ``number``, sealed for everybody who may read it."""
        if self._auditor is None:
            return Sealed(model, b"")
        receivers = {**self._readers(), AUDITOR: self._auditor}
        yield self._node.compute(self._node.costs.sealing_us(len(model), len(receivers)))
        # A key encrypts one object only, so its name holds what is in it.
        name = (self._node.id, number, cid_of(model))
        key = self._secrets.key("object-key", *name)
        envelope = enclose(
            model, key, receivers, self._context(number, self._node.id),
            lambda receiver: self._secrets.key("ephemeral", *name, receiver),
        )  # fmt: skip
        return Sealed(envelope.encoded, key)

    def open(self, number: int, owner: NodeId, data: bytes, wrapped: bytes = b"") -> OpeningProcess:
        """The model in an object of ``owner``; ``wrapped`` is its key, had from somebody else.

        Raises:
            EnvelopeError: when the object does not open for this node.
        """
        if self._auditor is None:
            return Opened(data, b"")
        yield self._node.compute(self._node.costs.opening_us(len(data)))
        envelope, context = read_envelope(data), self._context(number, owner)
        secret, public = self._ledger.agreement
        mine = wrapped or envelope.wrapped.get(self._node.id)
        key = unwrap(mine, secret, public, context)
        return Opened(envelope.open(key, context), key)

    def reopen(self, number: int, owner: NodeId, data: bytes, key: bytes) -> bytes:
        """The model in an object that this node has opened before.

        Raises:
            EnvelopeError: when the bytes are not that object's.
        """
        if self._auditor is None:
            return data
        return read_envelope(data).open(key, self._context(number, owner))

    def wrap(self, number: int, owner: NodeId, key: bytes, receiver: NodeId) -> bytes:
        """An object's key for one more receiver; empty where there is none, or no such member."""
        public = self._members().get(receiver)
        if self._auditor is None or public is None:
            return b""
        name = ("handed-on", self._node.id, number, owner, receiver)
        return wrap(key, public, self._context(number, owner), self._secrets.key(*name))

    def _readers(self) -> dict[NodeId, bytes]:
        """Who can open what this node seals now: who checks it, and the node itself.

        Whoever joins the replicas later has the key from a holder.
        """
        copy, members = self._ledger.copy, self._members()
        if parameters(copy).protocol != "commit_reveal":
            return members
        voting = {*committee(copy).replicas, self._node.id}
        followers = {hospital for hospital in hospitals(copy) if hospital not in voting}
        return {member: key for member, key in members.items() if member not in followers}

    def _members(self) -> dict[NodeId, bytes]:
        copy = self._ledger.copy
        others = [member.id for member in copy.genesis.members if member.role != HOSPITAL]
        keys = {member: key_of(copy, member) for member in (*hospitals(copy), *others)}
        return {member: agreement_of(key) for member, key in keys.items() if key is not None}

    def _context(self, number: int, owner: NodeId) -> bytes:
        copy = self._ledger.copy
        return object_context(copy.genesis.chain_id, task_name(copy), number, owner)


@lru_cache(maxsize=4096)
def agreement_of(key: bytes) -> bytes:
    """The X25519 form of a member's encoded Ed25519 key; a run asks for few, and often."""
    return PublicKey(key).agreement
