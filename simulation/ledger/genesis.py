"""The first page of a chain: who is a member, who votes, and what the task is.

Its digest is the chain id, which every transaction and every vote carries; so a chain with one
member, one key or one task parameter changed is another chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.base.encoding import EncodingError, Value, decode, encode
from simulation.base.ids import NodeId, node_name
from simulation.base.keys import KeyError25519, PublicKey
from simulation.base.merkle import merkle_root
from simulation.ledger.value import freeze, is_natural

Role = Literal["hospital", "coordinator"]
ROLES: tuple[Role, ...] = ("hospital", "coordinator")
GENESIS_VERSION = 1


@dataclass(frozen=True)
class Member:
    """Somebody who may sign transactions."""

    id: NodeId
    role: Role
    key: bytes
    """Encoded Ed25519 public key."""


@dataclass(frozen=True)
class Voters:
    """Whose signatures certify the blocks of a chain: all that a verifier needs to know of it."""

    chain: Digest
    quorum: int
    keys: tuple[bytes, ...]
    """Encoded public keys of replicas 0, 1, 2, …"""

    @cached_property
    def root(self) -> Digest:
        """The membership root: RFC 6962 over ``cbor([chain, quorum])`` and each ``cbor([i, key])``.

        32 bytes that a hospital keeps, and later holds any receipt of the chain against.
        """
        keys = [encode([i, key]) for i, key in enumerate(self.keys)]
        return merkle_root([encode([self.chain, self.quorum]), *keys])


@dataclass(frozen=True)
class Genesis:
    """What all copies of a chain start from.

    Raises:
        ValueError: when members are unsorted, share a key, have a key that cannot identify anybody,
            or when replicas and quorum do not fit them.
    """

    name: str
    members: tuple[Member, ...]
    """Sorted by id, ids from 0 without gaps: hospitals first."""
    replicas: int
    """Members 0 .. replicas−1 vote."""
    quorum: int
    """Signatures that certify a block."""
    task: Mapping[str, Value]
    """Parameters of the federated task; read by the task contract."""

    def __post_init__(self) -> None:
        if [member.id for member in self.members] != list(range(len(self.members))):
            raise ValueError("members: ids must be 0, 1, 2, … in this order")
        if [m.role for m in self.members] != sorted((m.role for m in self.members), reverse=True):
            raise ValueError("members: hospitals come first, then coordinators")
        if len({member.key for member in self.members}) != len(self.members):
            raise ValueError("members: two members share a key; each needs its own")
        for member in self.members:
            try:
                PublicKey(member.key)
            except KeyError25519 as error:
                raise ValueError(f"members: {self.name_of(member.id)}: {error}") from error
        if not 1 <= self.replicas <= self.hospitals:
            raise ValueError(f"replicas: {self.replicas} of {self.hospitals} hospitals cannot vote")
        if not 1 <= self.quorum <= self.replicas:
            raise ValueError(f"quorum: {self.quorum} of {self.replicas} replicas is no quorum")

    @cached_property
    def hospitals(self) -> int:
        """Number of members that are hospitals."""
        return sum(member.role == "hospital" for member in self.members)

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return encode(
            {
                "version": GENESIS_VERSION,
                "name": self.name,
                "members": [[m.id, m.role, m.key] for m in self.members],
                "replicas": self.replicas,
                "quorum": self.quorum,
                "task": self.task,
            }
        )

    @cached_property
    def chain_id(self) -> Digest:
        """``TH(genesis, encoded)``."""
        return tagged_hash(Tag.GENESIS, self.encoded)

    @cached_property
    def voters(self) -> Voters:
        """The replicas' keys and the quorum."""
        keys = tuple(member.key for member in self.members[: self.replicas])
        return Voters(self.chain_id, self.quorum, keys)

    def name_of(self, node: NodeId) -> str:
        """A member's name in files and messages."""
        return node_name(node, self.hospitals)

    @classmethod
    def decode(cls, data: bytes) -> Genesis:
        """The genesis whose canonical bytes are ``data``.

        Raises:
            EncodingError: when the bytes are none, or describe one that `Genesis` refuses.
        """
        match decode(data):
            case {
                "version": 1,
                "name": str(name),
                "members": [*rows],
                "replicas": replicas,
                "quorum": quorum,
                "task": dict(task),
            } if is_natural(replicas) and is_natural(quorum):
                members = tuple(_member(row) for row in rows)
                frozen = cast(Mapping[str, Value], freeze(task))
            case _:
                raise EncodingError(
                    "a genesis holds version 1, name, members, replicas, quorum, task"
                )
        try:
            genesis = cls(name, members, cast(int, replicas), cast(int, quorum), frozen)
        except ValueError as error:
            raise EncodingError(f"genesis: {error}") from error
        if genesis.encoded != data:
            raise EncodingError("genesis: holds more than its fields")
        return genesis


def _member(row: Value) -> Member:
    match row:
        case [number, str(role), bytes(key)] if is_natural(number) and role in ROLES:
            return Member(cast(int, number), role, key)
        case _:
            raise EncodingError("genesis: a member is [id, role, key]")
