"""Who is a member, by this state: keys, roles and sequence numbers."""

from __future__ import annotations

from functools import lru_cache

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.base.encoding import Value, encode
from simulation.base.ids import NodeId
from simulation.ledger.state import Reader
from simulation.ledger.value import read_once

HOSPITAL, REVOKED = "hospital", "revoked"


def role_of(state: Reader, member: NodeId) -> str | None:
    """``hospital``, ``coordinator``, ``revoked``, or None for somebody who is no member."""
    return _entry(state.get(member_key(member)))[0]


def key_of(state: Reader, member: NodeId) -> bytes | None:
    """The member's encoded public key, or None for somebody who is no member or revoked."""
    return _entry(state.get(member_key(member)))[1]


@read_once
def _entry(value: Value) -> tuple[str | None, bytes | None]:
    """A member's role, and its key unless it is revoked."""
    match value:
        case {"role": str(role), "key": bytes(key)} if role != REVOKED:
            return role, key
        case {"role": str(role)}:
            return role, None
        case _:
            return None, None


def last_sequence(state: Reader, member: NodeId) -> int:
    """The last sequence number that the member has used; 0 before its first transaction."""
    match state.get(sequence_key(member)):
        case int(last):
            return last
        case _:
            return 0


def possession(chain: Digest, member: NodeId, key: bytes) -> Digest:
    """What a member signs with a new key to prove that it has it."""
    return tagged_hash(Tag.KEY, encode([chain, member, key]))


@lru_cache(maxsize=1024)
def member_key(member: NodeId) -> str:
    """Where a member's role and key are kept."""
    return f"member/{member:03d}"


@lru_cache(maxsize=1024)
def sequence_key(member: NodeId) -> str:
    """Where a member's last used sequence number is kept."""
    return f"sequence/{member:03d}"
