"""Whose signatures certify a block, and how that changes along the chain.

The voters of the first block follow from the genesis. From then on the state itself says who they
are: the entry at `VOTERS_KEY` after a block names the voters from the next height on. A number
counts the *epochs*, the stretches of the chain with the same voters.

Source: the project's protocol, sections 1, 3 (set-up) and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.encoding import EncodingError, Value, encode
from simulation.base.ids import ReplicaId
from simulation.base.merkle import merkle_root
from simulation.ledger.value import is_natural

VOTERS_KEY = "membership/voters"
"""Where the state says who certifies the blocks from the next height on."""


@dataclass(frozen=True)
class Voters:
    """Whose signatures certify the blocks of a chain: all that a verifier needs to know of it."""

    chain: Digest
    quorum: int
    replicas: tuple[tuple[ReplicaId, bytes], ...]
    """Number and encoded public key of every replica, sorted."""

    @cached_property
    def keys(self) -> dict[ReplicaId, bytes]:
        """Encoded public keys by replica."""
        return dict(self.replicas)

    @cached_property
    def ids(self) -> tuple[ReplicaId, ...]:
        """The replicas, sorted."""
        return tuple(replica for replica, _ in self.replicas)

    @property
    def bitmap_bytes(self) -> int:
        """Length of a bitmap with a bit for every number up to the highest replica's."""
        return (self.ids[-1] + 8) // 8

    @property
    def holders(self) -> int:
        """More replicas than can be faulty: among so many there is an honest one."""
        return len(self.replicas) - self.quorum + 1

    @cached_property
    def root(self) -> Digest:
        """The membership root: RFC 6962 over ``cbor([chain, quorum])`` and each ``cbor([i, key])``.

        32 bytes that a hospital keeps, and later holds any receipt of the chain against.
        """
        keys = [encode([i, key]) for i, key in self.replicas]
        return merkle_root([encode([self.chain, self.quorum]), *keys])

    @property
    def row(self) -> Value:
        """As a value; `voters_of` reads it."""
        return [self.chain, self.quorum, [list(pair) for pair in self.replicas]]


@dataclass(frozen=True)
class Epoch:
    """A stretch of the chain with the same voters."""

    number: int
    """From 0."""
    since: int
    """The first height that these voters certify."""
    voters: Voters

    @property
    def value(self) -> Value:
        """As the state holds it at `VOTERS_KEY`; `epoch_of` reads it."""
        return {
            "epoch": self.number,
            "since": self.since,
            "quorum": self.voters.quorum,
            "replicas": [list(pair) for pair in self.voters.replicas],
        }


def voters_of(row: Value) -> Voters:
    """The voters that a row describes.

    Raises:
        EncodingError: when it describes none.
    """
    match row:
        case [bytes(chain), quorum, [*pairs]]:
            return _voters(chain, quorum, pairs)
        case _:
            raise EncodingError("voters are [chain, quorum, [[id, key], ...]]")


def epoch_of(chain: Digest, value: Value) -> Epoch:
    """The epoch that a value at `VOTERS_KEY` describes.

    Raises:
        EncodingError: when it describes none.
    """
    match value:
        case {
            "epoch": number,
            "since": since,
            "quorum": quorum,
            "replicas": [*pairs] | (*pairs,),
            **rest,
        } if is_natural(number) and is_natural(since) and not rest:
            voters = _voters(chain, quorum, pairs)
            return Epoch(cast(int, number), cast(int, since), voters)
        case _:
            raise EncodingError("an epoch is {epoch, since, quorum, replicas}")


def _voters(chain: Digest, quorum: Value, pairs: Sequence[Value]) -> Voters:
    replicas = tuple(_replica(pair) for pair in pairs)
    ids = [replica for replica, _ in replicas]
    if len(chain) != DIGEST_BYTES or ids != sorted(set(ids)) or not is_natural(quorum):
        raise EncodingError("voters: a chain of 32 bytes, a number, replicas sorted by number")
    if not 1 <= cast(int, quorum) <= len(replicas):
        raise EncodingError(f"voters: {quorum} of {len(replicas)} replicas is no quorum")
    return Voters(chain, cast(int, quorum), replicas)


def _replica(pair: Value) -> tuple[ReplicaId, bytes]:
    match pair:
        case [number, bytes(key)] if is_natural(number) and cast(int, number) < _MOST:
            return cast(int, number), key
        case _:
            raise EncodingError("voters: a replica is [id, key]")


_MOST = 1 << 20
"""Numbers beyond are no replica's: a bitmap of certificate signers stays small."""
