"""Who may speak and who votes: registration, rotation of keys, revocation, joining and leaving.

Every transaction passes this contract's gate before its own contract sees it: the sender's
signature and sequence number. Its own transactions change who the senders are:

    membership.register  newcomer   asks to join under the key that it brings and signs with
    membership.approve   replica    a vote to let a newcomer in; a quorum admits it
    membership.leave     hospital   wants to go
    membership.rotate    member     wants another key, and proves that it has it
    membership.revoke    replica    a vote against a member whose key is not safe any more

A settled change waits until no round is open and is then carried out at the end of a block, with
all others that wait. That begins an epoch: the state after the block names the voters from the next
height on (`simulation.ledger.voters`), so that whoever has the block knows who certifies the next,
and a round is played from its first transaction to its last by the same replicas under the same
keys. Only a revocation acts at once as far as it can: from the next transaction on the member is
not heard, and no round waits for it; its vote goes with the replica set, between rounds.

How many votes certify for how many replicas is the genesis's word (`Genesis.quorums`), because it
depends on the consensus protocol. A change that would leave too few replicas is refused.

State: ``member/<id>``, ``sequence/<id>``, ``membership/voters`` (who votes now), ``policy`` (from
the genesis), ``hospitals`` (numbers, sorted), ``key/<key>`` (whose every key is or was),
``candidate/<id>/<key>``, ``against/<id>`` (votes), ``pending/<id>``, ``queue`` (whose changes
wait), ``former/<id>`` (how and when a member went).

Source: the project's protocol, sections 1 and 3. Changing voters between blocks of a stoppable
machine: Lamport, Malkhi & Zhou, "Reconfiguring a State Machine", SIGACT News 41(1), 2010.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.keys import SIGNATURE_BYTES, KeyError25519
from simulation.contracts.committee import Committee, committee
from simulation.contracts.fields import natural, octets, require_keys
from simulation.contracts.members import (
    HOSPITAL,
    REVOKED,
    last_sequence,
    member_key,
    possession,
    role_of,
    sequence_key,
)
from simulation.contracts.phases import move_on
from simulation.contracts.rounds import status
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Context, Rejected
from simulation.ledger.signatures import is_signature, public_key
from simulation.ledger.state import Journal, Reader
from simulation.ledger.transaction import SignedTransaction
from simulation.ledger.voters import VOTERS_KEY, Epoch, Voters

POLICY_KEY = "membership/policy"
HOSPITALS_KEY = "membership/hospitals"
QUEUE_KEY = "membership/queue"
REGISTER = "membership.register"
KEY_BYTES = 32
CANDIDATE = "candidate"
"""The role of somebody who registers."""

JOIN, LEAVE, ROTATE, REVOKE = "join", "leave", "rotate", "revoke"
Action = Callable[[Journal, Context, Mapping[str, Value]], None]


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


@dataclass(frozen=True)
class MembershipContract:
    """The gate, and the transactions that change who passes it."""

    def install(self, state: Journal, genesis: Genesis) -> None:
        """Write the members and voters of the genesis."""
        for member in genesis.members:
            state.put(member_key(member.id), {"role": member.role, "key": member.key})
            state.put(used_key(member.key), member.id)
        hospitals = [member.id for member in genesis.members if member.role == HOSPITAL]
        state.put(HOSPITALS_KEY, hospitals)
        state.put(
            POLICY_KEY,
            {
                "seats": None if genesis.all_vote else genesis.replicas,
                "places": genesis.hospitals,
                "quorums": genesis.quorums,
            },
        )
        state.put(VOTERS_KEY, genesis.epoch.value)

    def admit(self, state: Journal, signed: SignedTransaction) -> str:
        """Check sender, signature and sequence number; use the number up; return the role.

        Somebody who is no member may register, signing with the key that it brings.

        Raises:
            Rejected: ``not-member``, ``revoked``, ``bad-signature`` or ``bad-sequence``.
        """
        transaction = signed.transaction
        match state.get(member_key(transaction.sender)):
            case {"role": "revoked"}:
                raise Rejected("revoked")
            case {"role": str(role), "key": bytes(key)}:
                pass
            case _ if transaction.kind == REGISTER:
                return _admit_candidate(state, signed)
            case _:
                raise Rejected("not-member")
        if not signed.is_signed_by(key):
            raise Rejected("bad-signature")
        if transaction.seq != last_sequence(state, transaction.sender) + 1:
            raise Rejected("bad-sequence")
        state.put(sequence_key(transaction.sender), transaction.seq)
        return role

    def call(
        self, state: Journal, context: Context, action: str, body: Mapping[str, Value]
    ) -> None:
        """Perform one of the actions above.

        Raises:
            Rejected: with the code of the first rule that the transaction breaks.
        """
        perform = _ACTIONS.get(action)
        if perform is None:
            raise Rejected("unknown-kind")
        perform(state, context, body)

    def finish(self, state: Journal, chain: Digest, height: int) -> None:
        """Carry out what waits, at the end of the block at ``height``, unless a round is open."""
        queue = _naturals(state.get(QUEUE_KEY))
        if not queue or status(state).is_open:
            return
        before = committee(state)
        members = _after(state, queue)
        replicas = _replicas(state, before, members)
        for member in queue:
            _carry_out(state, member, height)
        state.put(HOSPITALS_KEY, members)
        state.put(QUEUE_KEY, None)
        pairs = tuple((replica, _key(state, replica)) for replica in replicas)
        voters = Voters(chain, _quorum(state, before, replicas), pairs)
        state.put(VOTERS_KEY, Epoch(before.epoch + 1, height + 1, voters).value)


def policy(state: Reader) -> Policy:
    """What the genesis says about changes of membership."""
    match state.get(POLICY_KEY):
        case {"seats": None | int() as seats, "places": int(places), "quorums": quorums}:
            return Policy(seats, places, _naturals(quorums))
        case _:
            raise AssertionError("the contract writes its policy at height 0")


def hospitals(state: Reader) -> tuple[NodeId, ...]:
    """The hospitals that are members now, sorted."""
    return tuple(h for h in _naturals(state.get(HOSPITALS_KEY)) if role_of(state, h) == HOSPITAL)


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
            return _naturals(votes)
        case _:
            return None


# ---- the gate for newcomers ---------------------------------------------------------------------


def _admit_candidate(state: Journal, signed: SignedTransaction) -> str:
    """A signature under the key in the body proves that the sender has it.

    The sequence number is used up when the newcomer is let in, and not before: else a stranger
    could take the number of somebody who has not registered yet.
    """
    transaction = signed.transaction
    key = transaction.body.get("key")
    if not isinstance(key, bytes) or not _is_usable(key):
        raise Rejected("bad-key")
    if not signed.is_signed_by(key):
        raise Rejected("bad-signature")
    if transaction.seq != last_sequence(state, transaction.sender) + 1:
        raise Rejected("bad-sequence")
    return CANDIDATE


# ---- actions ------------------------------------------------------------------------------------


def _register(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ("key",))
    key, me, known = octets(body["key"], KEY_BYTES), context.sender, policy(state)
    if context.role != CANDIDATE:
        raise Rejected("already-member")
    if not known.quorums:
        raise Rejected("membership-fixed")
    if me >= known.places:
        raise Rejected("no-place")
    if state.get(used_key(key)) is not None:
        raise Rejected("key-used")
    if votes_for(state, me, key) is not None:
        raise Rejected("already-registered")
    _put_candidate(state, me, key, (), last_sequence(state, me) + 1)


def _approve(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ("member", "key"))
    member, key = natural(body["member"]), octets(body["key"], KEY_BYTES)
    voting = _require_voter(state, context)
    votes = votes_for(state, member, key)
    if votes is None:
        raise Rejected("not-registered")
    if context.sender in votes:
        raise Rejected("duplicate-vote")
    if pending(state, member) is not None or role_of(state, member) is not None:
        raise Rejected("change-pending")
    if state.get(used_key(key)) is not None:
        raise Rejected("key-used")
    votes = tuple(sorted((*votes, context.sender)))
    seq = last_sequence(state, member) + 1
    _put_candidate(state, member, key, votes, seq)
    if _enough(votes, voting):
        _settle(state, member, Change(JOIN, key, seq))
        state.put(used_key(key), member)
        state.put(candidate_key(member, key), None)


def _leave(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ())
    me = context.sender
    if context.role != HOSPITAL:
        raise Rejected("wrong-role")
    if (waiting := pending(state, me)) is not None and waiting.kind != ROTATE:
        raise Rejected("change-pending")
    _settle(state, me, Change(LEAVE, b""))


def _rotate(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ("key", "possession"))
    key = octets(body["key"], KEY_BYTES)
    proof = octets(body["possession"], SIGNATURE_BYTES)
    if context.role == CANDIDATE or pending(state, context.sender) is not None:
        raise Rejected("change-pending")
    if not _is_usable(key):
        raise Rejected("bad-key")
    if state.get(used_key(key)) is not None:
        raise Rejected("key-used")
    if not is_signature(key, possession(context.chain, context.sender, key), proof):
        raise Rejected("bad-possession")
    state.put(used_key(key), context.sender)
    _settle(state, context.sender, Change(ROTATE, key))


def _revoke(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ("member",))
    member = natural(body["member"])
    voting = _require_voter(state, context)
    role = role_of(state, member)
    if role is None:
        raise Rejected("not-member")
    if role == REVOKED:
        raise Rejected("already-revoked")
    if role != HOSPITAL:
        raise Rejected("wrong-role")
    votes = _naturals(state.get(against_key(member)))
    if context.sender in votes:
        raise Rejected("duplicate-vote")
    votes = tuple(sorted((*votes, context.sender)))
    state.put(against_key(member), votes)
    if _enough(votes, voting):
        _settle(state, member, Change(REVOKE, b""))
        state.put(against_key(member), None)
        state.put(member_key(member), {"role": REVOKED, "key": _key(state, member)})
        move_on(state, context, status(state).round)


_ACTIONS: Mapping[str, Action] = {
    "register": _register,
    "approve": _approve,
    "leave": _leave,
    "rotate": _rotate,
    "revoke": _revoke,
}


def _require_voter(state: Journal, context: Context) -> Committee:
    """The committee, when the sender belongs to it."""
    voting = committee(state)
    if context.sender not in voting.replicas:
        raise Rejected("not-a-replica")
    return voting


def _enough(votes: Sequence[NodeId], voting: Committee) -> bool:
    """Whether a quorum of those who vote now has voted."""
    return len([vote for vote in votes if vote in voting.replicas]) >= voting.quorum


# ---- changes ------------------------------------------------------------------------------------


def _settle(state: Journal, member: NodeId, change: Change) -> None:
    """Have a change carried out between rounds.

    Raises:
        Rejected: ``membership-fixed`` or ``too-few-replicas``, when nobody could vote after it.
    """
    state.put(pending_key(member), {"kind": change.kind, "key": change.key, "seq": change.seq})
    queue = sorted({*_naturals(state.get(QUEUE_KEY)), member})
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
    found = set(_naturals(state.get(HOSPITALS_KEY)))
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


def _put_candidate(
    state: Journal, member: NodeId, key: bytes, votes: Sequence[NodeId], seq: int
) -> None:
    state.put(candidate_key(member, key), {"votes": list(votes), "seq": seq})


def _key(state: Reader, member: NodeId) -> bytes:
    match state.get(member_key(member)):
        case {"key": bytes(key)}:
            return key
        case _:
            raise AssertionError("whoever votes is a member")


def _is_usable(key: bytes) -> bool:
    """Whether it is a public key at all, and not one under which anything is signed."""
    if len(key) != KEY_BYTES:
        return False
    try:
        public_key(key)
    except KeyError25519:
        return False
    return True


def _naturals(value: Value) -> tuple[int, ...]:
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
