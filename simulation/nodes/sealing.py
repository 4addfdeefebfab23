"""How a node seals the models that leave it, and opens those of others.

With encryption, an object is an envelope (`simulation.vault.envelope`), and its key is wrapped for
each reader by itself; without, it is the model. The keys are the members' own, as the node's ledger
copy has them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import simpy

from simulation.base.ids import NodeId
from simulation.base.keys import PublicKey
from simulation.base.rng import Streams
from simulation.contracts.committee import committee
from simulation.contracts.members import HOSPITAL, REVOKED, key_of, role_of
from simulation.contracts.parameters import parameters, task_name
from simulation.nodes.ledger_service import LedgerService
from simulation.vault.envelope import enclose, object_context, read_envelope, unwrap, wrap
from simulation.vault.store import cid_of


@dataclass(frozen=True, slots=True)
class Sealed:
    """An object, and the key that opens it."""

    data: bytes
    """What is stored, sent and addressed."""
    key: bytes
    """Empty where nothing is encrypted."""
    wrapped: Mapping[NodeId, bytes] = field(default_factory=dict[NodeId, bytes])
    """The key as each reader besides the owner gets it; empty where nothing is encrypted."""


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

    def seal(self, number: int, model: bytes, readers: Sequence[NodeId] = ()) -> SealingProcess:
        """A model of this node's, of round ``number``, sealed for these and the auditor.

        Whoever has to read it later has the key from a holder (`wrap`).
        """
        if self._auditor is None:
            return Sealed(model, b"", dict.fromkeys(readers, b""))
        yield self._node.compute(self._node.costs.sealing_us(len(model), len(readers) + 1))
        # A key encrypts one object only, so its name holds what is in it.
        name = (self._node.id, number, cid_of(model))
        key, context = self._secrets.key("object-key", *name), self._context(number, self._node.id)
        material = self._secrets.key("ephemeral", *name, "auditor")
        envelope = enclose(model, key, self._auditor, context, material)
        wrapped: dict[NodeId, bytes] = {}
        for reader in readers:
            material = self._secrets.key("ephemeral", *name, reader)
            wrapped[reader] = self._wrap(key, reader, context, material)
        return Sealed(envelope.encoded, key, wrapped)

    def open(self, number: int, owner: NodeId, data: bytes, wrapped: bytes) -> OpeningProcess:
        """The model in an object of ``owner``, whose key was wrapped for this node.

        Raises:
            EnvelopeError: when the object does not open for this node.
        """
        if self._auditor is None:
            return Opened(data, b"")
        yield self._node.compute(self._node.costs.opening_us(len(data)))
        envelope, context = read_envelope(data), self._context(number, owner)
        secret, public = self._ledger.agreement
        key = unwrap(wrapped, secret, public, context)
        return Opened(envelope.open(key, context), key)

    def reopen(self, number: int, owner: NodeId, data: bytes, key: bytes) -> bytes:
        """The model in an object that this node has opened before.

        Raises:
            EnvelopeError: when the bytes are not that object's.
        """
        if self._auditor is None:
            return data
        return read_envelope(data).open(key, self._context(number, owner))

    def may_read(self, member: NodeId, owner: NodeId) -> bool:
        """Whether an object of ``owner`` is for this member: who made it, votes on it, or collects.

        Without commitments every hospital checks for itself.
        """
        copy = self._ledger.copy
        role = role_of(copy, member)
        if role != HOSPITAL:
            return role not in (None, REVOKED)
        hides = parameters(copy).protocol == "commit_reveal"
        return not hides or member == owner or member in committee(copy).replicas

    def wrap(self, number: int, owner: NodeId, key: bytes, receiver: NodeId) -> bytes:
        """An object's key for one more receiver; empty where there is none, or no such member."""
        if self._auditor is None:
            return b""
        material = self._secrets.key("handed-on", self._node.id, number, owner, receiver)
        return self._wrap(key, receiver, self._context(number, owner), material)

    def _wrap(self, key: bytes, receiver: NodeId, context: bytes, material: bytes) -> bytes:
        public = key_of(self._ledger.copy, receiver)
        if public is None:
            return b""
        return wrap(key, agreement_of(public), context, material)

    def _context(self, number: int, owner: NodeId) -> bytes:
        copy = self._ledger.copy
        return object_context(copy.genesis.chain_id, task_name(copy), number, owner)


@lru_cache(maxsize=4096)
def agreement_of(key: bytes) -> bytes:
    """The X25519 form of a member's encoded Ed25519 key; a run asks for few, and often."""
    return PublicKey(key).agreement
