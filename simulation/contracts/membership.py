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

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import NodeId
from simulation.base.keys import SIGNATURE_BYTES, KeyError25519
from simulation.contracts.committee import Committee, committee
from simulation.contracts.fields import natural, octets, require_keys
from simulation.contracts.member_changes import (
    HOSPITALS_KEY,
    JOIN,
    LEAVE,
    POLICY_KEY,
    REVOKE,
    ROTATE,
    Change,
    against_key,
    candidate_key,
    carry_out_all,
    key_on_record,
    numbers_of,
    pending,
    policy,
    settle,
    used_key,
    votes_for,
)
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
from simulation.ledger.state import Journal
from simulation.ledger.transaction import SignedTransaction
from simulation.ledger.voters import VOTERS_KEY

REGISTER = "membership.register"
KEY_BYTES = 32
CANDIDATE = "candidate"
"""The role of somebody who registers."""

Action = Callable[[Journal, Context, Mapping[str, Value]], None]


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
        if not status(state).is_open:
            carry_out_all(state, chain, height)


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
        settle(state, member, Change(JOIN, key, seq))
        state.put(used_key(key), member)
        state.put(candidate_key(member, key), None)


def _leave(state: Journal, context: Context, body: Mapping[str, Value]) -> None:
    require_keys(body, ())
    me = context.sender
    if context.role != HOSPITAL:
        raise Rejected("wrong-role")
    if (waiting := pending(state, me)) is not None and waiting.kind != ROTATE:
        raise Rejected("change-pending")
    settle(state, me, Change(LEAVE, b""))


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
    settle(state, context.sender, Change(ROTATE, key))


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
    votes = numbers_of(state.get(against_key(member)))
    if context.sender in votes:
        raise Rejected("duplicate-vote")
    votes = tuple(sorted((*votes, context.sender)))
    state.put(against_key(member), votes)
    if _enough(votes, voting):
        settle(state, member, Change(REVOKE, b""))
        state.put(against_key(member), None)
        state.put(member_key(member), {"role": REVOKED, "key": key_on_record(state, member)})
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


def _put_candidate(
    state: Journal, member: NodeId, key: bytes, votes: Sequence[NodeId], seq: int
) -> None:
    state.put(candidate_key(member, key), {"votes": list(votes), "seq": seq})


def _is_usable(key: bytes) -> bool:
    """Whether it is a public key at all, and not one under which anything is signed."""
    if len(key) != KEY_BYTES:
        return False
    try:
        public_key(key)
    except KeyError25519:
        return False
    return True
