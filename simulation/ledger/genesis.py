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
from simulation.ledger.value import freeze, is_natural
from simulation.ledger.voters import Epoch, Voters

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
class Genesis:
    """What all copies of a chain start from.

    Raises:
        ValueError: when members are unsorted, share a key, have a key that cannot identify anybody,
            or when replicas and quorum do not fit them.
    """

    name: str
    members: tuple[Member, ...]
    """Sorted by id, hospitals first. A number that is left out is free for who joins later."""
    replicas: int
    """So many of the members, the first ones, vote."""
    quorum: int
    """Signatures that certify a block."""
    task: Mapping[str, Value]
    """Parameters of the federated task; read by the task contract."""
    quorums: tuple[int, ...] = ()
    """Signatures that certify a block when 1, 2, 3, … replicas vote; 0 where too few would vote.
    Empty when nobody ever joins, leaves or is revoked."""

    def __post_init__(self) -> None:
        ids = [member.id for member in self.members]
        if ids != sorted(set(ids)) or any(number < 0 for number in ids):
            raise ValueError("members: ids must be natural numbers in increasing order")
        if [m.role for m in self.members] != sorted((m.role for m in self.members), reverse=True):
            raise ValueError("members: hospitals come first, then coordinators")
        if len({member.key for member in self.members}) != len(self.members):
            raise ValueError("members: two members share a key; each needs its own")
        for member in self.members:
            try:
                PublicKey(member.key)
            except KeyError25519 as error:
                raise ValueError(f"members: {self.name_of(member.id)}: {error}") from error
        founders = sum(member.role == "hospital" for member in self.members)
        if not 1 <= self.replicas <= founders:
            raise ValueError(f"replicas: {self.replicas} of {founders} hospitals cannot vote")
        if not 1 <= self.quorum <= self.replicas:
            raise ValueError(f"quorum: {self.quorum} of {self.replicas} replicas is no quorum")
        for count, quorum in enumerate(self.quorums, start=1):
            if not 0 <= quorum <= count:
                raise ValueError(f"quorums: {quorum} of {count} replicas is no quorum")

    @cached_property
    def hospitals(self) -> int:
        """Numbers below this one are hospitals', members' or still free."""
        coordinators = [member.id for member in self.members if member.role == "coordinator"]
        return min(coordinators, default=self.members[-1].id + 1)

    @property
    def all_vote(self) -> bool:
        """Whether every hospital is a replica, and so is every hospital that joins."""
        return self.replicas == sum(member.role == "hospital" for member in self.members)

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
                **({"quorums": self.quorums} if self.quorums else {}),
            }
        )

    @cached_property
    def chain_id(self) -> Digest:
        """``TH(genesis, encoded)``."""
        return tagged_hash(Tag.GENESIS, self.encoded)

    @cached_property
    def voters(self) -> Voters:
        """Who certifies the first block."""
        replicas = tuple((member.id, member.key) for member in self.members[: self.replicas])
        return Voters(self.chain_id, self.quorum, replicas)

    @cached_property
    def epoch(self) -> Epoch:
        """The first epoch of the chain."""
        return Epoch(0, 1, self.voters)

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
                **rest,
            } if is_natural(replicas) and is_natural(quorum) and rest.keys() <= {"quorums"}:
                members = tuple(_member(row) for row in rows)
                frozen = cast(Mapping[str, Value], freeze(task))
                quorums = _naturals(rest.get("quorums", []))
            case _:
                raise EncodingError(
                    "a genesis holds version 1, name, members, replicas, quorum, task"
                )
        try:
            genesis = cls(name, members, cast(int, replicas), cast(int, quorum), frozen, quorums)
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


def _naturals(row: Value) -> tuple[int, ...]:
    match row:
        case [*numbers] if all(is_natural(number) for number in numbers):
            return tuple(cast(int, number) for number in numbers)
        case _:
            raise EncodingError("genesis: quorums are natural numbers")
