"""What is to become of the members between two rounds, and the replica set that follows from it.

A settled change waits in a queue until no round is open; then all that wait are carried out at the
end of one block, which begins an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.contracts.committee import Committee, committee
from simulation.contracts.members import HOSPITAL, member_key, role_of, sequence_key
from simulation.ledger.runtime import Rejected
from simulation.ledger.state import Journal, Reader
from simulation.ledger.voters import VOTERS_KEY, Epoch, Voters

POLICY_KEY = "membership/policy"
HOSPITALS_KEY = "membership/hospitals"
QUEUE_KEY = "membership/queue"

JOIN, LEAVE, ROTATE, REVOKE = "join", "leave", "rotate", "revoke"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the genesis says about changes of membership."""

    seats: int | None
    """How many hospitals vote; None: all of them."""
    places: int
    """Numbers below this one are for hospitals."""
    quorums: tuple[int, ...]
    """Of 1, 2, 3, … replicas; empty when the replica set never changes."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a member between two rounds."""

    kind: str
    key: bytes
    """The new one of a join or a rotation; else empty."""
    seq: int = 0
    """The number that a newcomer's registration has used up."""


def policy(state: Reader) -> Policy:
    """What the genesis says about changes of membership."""
    match state.get(POLICY_KEY):
        case {"seats": None | int() as seats, "places": int(places), "quorums": quorums}:
            return Policy(seats, places, numbers_of(quorums))
        case _:
            raise AssertionError("the contract writes its policy at height 0")


def hospitals(state: Reader) -> tuple[NodeId, ...]:
    """The hospitals that are members now, sorted."""
    return tuple(h for h in numbers_of(state.get(HOSPITALS_KEY)) if role_of(state, h) == HOSPITAL)


def pending(state: Reader, member: NodeId) -> Change | None:
    """A member's settled change that has not been carried out yet."""
    match state.get(pending_key(member)):
        case {"kind": str(kind), "key": bytes(key), "seq": int(seq)}:
            return Change(kind, key, seq)
        case _:
            return None


def votes_for(state: Reader, member: NodeId, key: bytes) -> tuple[NodeId, ...] | None:
    """Who has voted for a newcomer; None when nobody has registered so."""
    match state.get(candidate_key(member, key)):
        case {"votes": votes}:
            return numbers_of(votes)
        case _:
            return None


# ---- changes ------------------------------------------------------------------------------------


def carry_out_all(state: Journal, chain: Digest, height: int) -> None:
    """Carry out what waits, at the end of the block at ``height``, and begin an epoch with it."""
    queue = numbers_of(state.get(QUEUE_KEY))
    if not queue:
        return
    before = committee(state)
    members = _after(state, queue)
    replicas = _replicas(state, before, members)
    for member in queue:
        _carry_out(state, member, height)
    state.put(HOSPITALS_KEY, members)
    state.put(QUEUE_KEY, None)
    pairs = tuple((replica, key_on_record(state, replica)) for replica in replicas)
    voters = Voters(chain, _quorum(state, before, replicas), pairs)
    state.put(VOTERS_KEY, Epoch(before.epoch + 1, height + 1, voters).value)


def settle(state: Journal, member: NodeId, change: Change) -> None:
    """Have a change carried out between rounds.

    Raises:
        Rejected: ``membership-fixed`` or ``too-few-replicas``, when nobody could vote after it.
    """
    state.put(pending_key(member), {"kind": change.kind, "key": change.key, "seq": change.seq})
    queue = sorted({*numbers_of(state.get(QUEUE_KEY)), member})
    state.put(QUEUE_KEY, queue)
    if change.kind != ROTATE:
        before = committee(state)
        if not policy(state).quorums:
            raise Rejected("membership-fixed")
        replicas = _replicas(state, before, _after(state, queue))
        if not _quorum(state, before, replicas):
            raise Rejected("too-few-replicas")


def _carry_out(state: Journal, member: NodeId, height: int) -> None:
    change = pending(state, member)
    assert change is not None, "whoever is in the queue has a change"
    match change.kind:
        case "join":
            state.put(member_key(member), {"role": HOSPITAL, "key": change.key})
            state.put(sequence_key(member), change.seq)
            state.put(former_key(member), None)
        case "rotate":
            role = role_of(state, member)
            state.put(member_key(member), {"role": role, "key": change.key})
        case _:
            state.put(member_key(member), None)
            why = "left" if change.kind == LEAVE else "revoked"
            state.put(former_key(member), {"height": height, "why": why})
    state.put(pending_key(member), None)


def _after(state: Journal, queue: Sequence[NodeId]) -> list[NodeId]:
    """The hospitals once all that waits is carried out, sorted."""
    found = set(numbers_of(state.get(HOSPITALS_KEY)))
    for member in queue:
        change = pending(state, member)
        assert change is not None, "whoever is in the queue has a change"
        if change.kind == JOIN:
            found.add(member)
        elif change.kind in (LEAVE, REVOKE):
            found.discard(member)
    return sorted(found)


def _replicas(state: Journal, before: Committee, members: Sequence[NodeId]) -> list[NodeId]:
    """Who votes when these are the hospitals: all, or who has a seat, vacancies filled in order."""
    seats = policy(state).seats
    if seats is None:
        return list(members)
    sitting = [replica for replica in before.replicas if replica in members]
    waiting = [member for member in members if member not in sitting]
    return sorted([*sitting, *waiting[: seats - len(sitting)]])


def _quorum(state: Journal, before: Committee, replicas: Sequence[NodeId]) -> int:
    """How many of them certify a block; 0 when they are too few, or more than the genesis knows."""
    if len(replicas) == len(before.replicas):
        return before.quorum
    quorums = policy(state).quorums
    return quorums[len(replicas) - 1] if 1 <= len(replicas) <= len(quorums) else 0


def key_on_record(state: Reader, member: NodeId) -> bytes:
    """The key of somebody who is a member, revoked or not."""
    match state.get(member_key(member)):
        case {"key": bytes(key)}:
            return key
        case _:
            raise AssertionError("whoever votes is a member")


def numbers_of(value: Value) -> tuple[int, ...]:
    """The whole numbers of a list in the state; none where there is no list."""
    return tuple(cast("Sequence[int]", value or ()))


# ---- keys ---------------------------------------------------------------------------------------


def candidate_key(member: NodeId, key: bytes) -> str:
    """Where a registration and the votes for it are kept."""
    return f"membership/candidate/{member:03d}/{key.hex()}"


def against_key(member: NodeId) -> str:
    """Where the votes against a member are kept."""
    return f"membership/against/{member:03d}"


def pending_key(member: NodeId) -> str:
    """Where a member's settled change is kept until it is carried out."""
    return f"membership/pending/{member:03d}"


def former_key(member: NodeId) -> str:
    """Where it is kept how and at what height a member went."""
    return f"membership/former/{member:03d}"


def used_key(key: bytes) -> str:
    """Where it is kept whose a key is or was: no key is used twice."""
    return f"membership/key/{key.hex()}"
