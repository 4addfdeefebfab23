"""The gate: members, roles and sequence numbers as state."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.keys import SigningKey
from simulation.contracts import task
from simulation.contracts.committee import Committee, committee
from simulation.contracts.member_changes import hospitals
from simulation.contracts.members import (
    key_of,
    last_sequence,
    member_key,
    possession,
    role_of,
    sequence_key,
)


def test_members_come_from_the_genesis(bench) -> None:
    """Every member's role and key are on the ledger from height 0."""
    for member in bench.genesis.members:
        assert bench.copy.get(member_key(member.id)) == {"role": member.role, "key": member.key}
        assert role_of(bench.copy, member.id) == member.role
    assert role_of(bench.copy, 5) is None


def test_sequence_numbers_count_each_member_alone(bench) -> None:
    """Per-sender sequence numbers, from 1."""
    bench.open()
    bench.commit(0)
    bench.commit(0)

    assert [last_sequence(bench.copy, i) for i in (0, 1, 4)] == [2, 0, 1]
    assert bench.copy.get(sequence_key(0)) == 2


def test_keys_are_readable(bench) -> None:
    """State keys are human-readable paths."""
    bench.open()
    bench.commit(2)

    assert member_key(2) == "member/002"
    assert sequence_key(12) == "sequence/012"
    assert bench.copy.get("task/round/1/commit/002") is not None


# ---- changes -------------------------------------------------------------------------------------

QUORUMS = (0, 0, 0, 3, 4, 4)
NEW = 5
"""A number that the genesis leaves free."""


@pytest.fixture
def open_bench(make_bench):
    """Four hospitals that vote, the coordinator at 8, and four places for others."""
    return make_bench(coordinator=8, quorums=QUORUMS)


def key(bench, member: int) -> bytes:
    return bench.keys[member].public.encoded


def register(bench, member: int = NEW, **change) -> str:
    return bench.do(member, "membership.register", {"key": key(bench, member)} | change)


def approve(bench, *voters: int, member: int = NEW) -> list[str]:
    body = {"member": member, "key": key(bench, member)}
    return [bench.do(voter, "membership.approve", body) for voter in voters]


def revoke(bench, member: int, *voters: int) -> list[str]:
    return [bench.do(voter, "membership.revoke", {"member": member}) for voter in voters]


def rotate(bench, member: int, new: SigningKey, signer: SigningKey | None = None) -> str:
    statement = possession(bench.genesis.chain_id, member, new.public.encoded)
    body = {"key": new.public.encoded, "possession": (signer or new).sign(statement)}
    return bench.do(member, "membership.rotate", body)


def test_a_quorum_lets_a_newcomer_in(open_bench) -> None:
    """Registration with proof of possession; the replica set is reconfigured at a height."""
    bench = open_bench

    assert register(bench) == "ok"
    assert approve(bench, 0, 1) == ["ok", "ok"]
    assert (committee(bench.copy).epoch, role_of(bench.copy, NEW)) == (0, None)
    assert approve(bench, 3) == ["ok"]

    assert committee(bench.copy) == Committee(1, (0, 1, 2, 3, NEW), 4)
    assert hospitals(bench.copy) == (0, 1, 2, 3, NEW)
    assert (bench.copy.epoch.number, bench.copy.epoch.since) == (1, bench.copy.height + 1)
    assert bench.copy.epoch.voters.keys[NEW] == key(bench, NEW)
    assert last_sequence(bench.copy, NEW) == 1, "the registration's number is used up"
    bench.play("open")
    assert task.round(bench.copy, 1).status == "open"


def test_who_brings_a_key_has_to_have_it(open_bench) -> None:
    """Proof of possession: the registration is signed with the key that it brings."""
    bench = open_bench

    assert register(bench, key=key(bench, 6)) == "bad-signature"
    assert register(bench, key=bytes(32)) == "bad-key"
    assert register(bench, key=b"short") == "bad-key"
    assert register(bench, key=None) == "bad-key"
    bench.sequence[NEW] = 0
    assert register(bench, more=1) == "malformed"
    assert bench.do(NEW, "task.commit", {}) == "not-member"
    bench.sequence[NEW] = 0
    assert register(bench) == "ok"
    bench.sequence[NEW] = 0
    assert register(bench) == "already-registered"


def test_who_may_not_register(open_bench, make_bench) -> None:
    """Members, numbers without a place, keys that were used; nobody on a fixed chain."""
    bench = open_bench

    assert bench.do(0, "membership.register", {"key": key(bench, 0)}) == "already-member"
    assert register(bench, 9) == "no-place"
    bench.keys[6] = bench.keys[2]
    assert register(bench, 6) == "key-used"
    assert register(make_bench(), 3 + 3) == "membership-fixed"


def test_only_replicas_vote_and_once(open_bench) -> None:
    """A vote is a replica's, for one key of one newcomer."""
    bench = open_bench
    register(bench)

    assert approve(bench, 8) == ["not-a-replica"]
    assert approve(bench, 0, 0) == ["ok", "duplicate-vote"]
    assert approve(bench, 1, member=6) == ["not-registered"]
    assert approve(bench, 1, 2) == ["ok", "ok"]
    assert approve(bench, 3) == ["not-registered"]


def test_changes_wait_until_no_round_is_open(open_bench) -> None:
    """Join and leave between rounds: a round has one replica set from its first to its last."""
    bench = open_bench
    bench.play("revealed")
    register(bench)
    approve(bench, 0, 1, 2)

    assert bench.do(3, "membership.leave", {}) == "ok"
    assert committee(bench.copy).replicas == (0, 1, 2, 3)
    assert bench.do(3, "membership.leave", {}) == "change-pending"
    bench.aggregate((0, 2))

    assert committee(bench.copy) == Committee(1, (0, 1, 2, NEW), 3)
    assert role_of(bench.copy, 3) is None
    assert bench.copy.get("membership/former/003") == {"height": bench.copy.height, "why": "left"}
    assert bench.do(3, "task.confirm", {}) == "not-member"


def test_too_few_replicas_stay_together(open_bench) -> None:
    """A change after which nobody could vote is refused."""
    bench = open_bench

    assert bench.do(0, "membership.leave", {}) == "too-few-replicas"
    assert revoke(bench, 1, 0, 2, 3)[-1] == "too-few-replicas"
    register(bench)
    approve(bench, 0, 1, 2)
    assert bench.do(0, "membership.leave", {}) == "ok"
    assert bench.do(1, "membership.leave", {}) == "too-few-replicas"


def test_a_rotated_key_counts_from_the_next_height_on(open_bench) -> None:
    """Key rotation with proof of possession; the old key signs nothing afterwards."""
    bench = open_bench
    old, new = bench.keys[2], SigningKey(b"n" * 32)

    assert rotate(bench, 2, new, signer=old) == "bad-possession"
    assert rotate(bench, 2, bench.keys[1]) == "key-used"
    assert rotate(bench, 2, new) == "ok"

    assert bench.copy.epoch.voters.keys[2] == new.public.encoded
    assert bench.do(2, "task.decline", {}) == "bad-signature"
    bench.sequence[2] -= 1
    bench.keys[2] = new
    assert bench.do(2, "task.decline", {}) == "malformed"
    bench.keys[2] = old
    assert bench.do(2, "task.decline", {}) == "bad-signature"
    assert rotate(bench, 3, old) == "key-used"


def test_a_rotation_waits_for_the_end_of_the_round(open_bench) -> None:
    """One set of keys from a round's first transaction to its last."""
    bench = open_bench
    bench.play("sealed")
    old, new = bench.keys[2], SigningKey(b"n" * 32)

    assert rotate(bench, 2, new) == "ok"
    assert rotate(bench, 2, SigningKey(b"m" * 32)) == "change-pending"
    assert bench.reveal(2) == "ok"
    assert bench.reveal(0) == "ok"
    assert key_of(bench.copy, 2) == old.public.encoded
    bench.aggregate((0, 2))
    assert key_of(bench.copy, 2) == new.public.encoded


def test_a_revoked_member_is_not_heard_and_not_awaited(open_bench) -> None:
    """Revocation acts on transactions at once, and on the replica set between rounds."""
    bench = open_bench
    register(bench)
    approve(bench, 0, 1, 2)
    bench.open()
    bench.commit(0)
    bench.commit(1)

    assert revoke(bench, 2, 0, 1, NEW) == ["ok"] * 3
    assert task.round(bench.copy, 1).status == "open"
    assert revoke(bench, 2, 3) == ["ok"]

    assert task.round(bench.copy, 1).status == "sealed", "nobody waits for it"
    assert bench.commit(2) == "revoked"
    assert bench.reveal(0, holders=(0, 2)) == "not-a-replica"
    assert committee(bench.copy).replicas == (0, 1, 2, 3, NEW)
    bench.reveal(0)
    bench.reveal(1)
    bench.aggregate((0, 1))
    assert committee(bench.copy).replicas == (0, 1, 3, NEW)
    assert revoke(bench, 2, 3) == ["not-member"]
    assert revoke(bench, 8, 3) == ["wrong-role"]


def test_who_has_left_may_come_back(open_bench) -> None:
    """Under another key, and with its old count of transactions."""
    bench = open_bench
    register(bench)
    approve(bench, 0, 1, 2)
    bench.do(NEW, "membership.leave", {})
    assert committee(bench.copy).replicas == (0, 1, 2, 3)

    assert register(bench) == "key-used"
    bench.sequence[NEW] = last_sequence(bench.copy, NEW)
    bench.keys[NEW] = SigningKey(b"back" * 8)
    assert register(bench) == "ok"
    assert approve(bench, 0, 1, 2) == ["ok"] * 3
    assert bench.copy.get("membership/former/005") is None
    assert last_sequence(bench.copy, NEW) == 3


def test_seats_stay_taken(make_bench) -> None:
    """Where not all hospitals vote, who sits stays, and a vacancy goes to the lowest number."""
    bench = make_bench(hospitals=6, replicas=4, coordinator=8, quorums=(0, 0, 0, 3))

    assert bench.do(1, "membership.leave", {}) == "ok"

    assert committee(bench.copy) == Committee(1, (0, 2, 3, 4), 3)


# ---- who may do what, when ----------------------------------------------------------------------

WHO = {"replica": 0, "coordinator": 8, "newcomer": NEW, "stranger": 7}
ACTIONS = ("register", "approve", "leave", "rotate", "revoke", "nothing")
MEMBERS = ("replica", "coordinator")
TOLD = {
    "register": dict.fromkeys(MEMBERS, "already-member") | {"newcomer": "already-registered"},
    "approve": {"replica": "ok", "coordinator": "not-a-replica"},
    "leave": {"replica": "too-few-replicas", "coordinator": "wrong-role"},
    "rotate": {"replica": "ok", "coordinator": "ok"},
    "revoke": {"replica": "ok", "coordinator": "not-a-replica"},
    "nothing": dict.fromkeys(MEMBERS, "unknown-kind"),
}


@pytest.mark.parametrize("phase", ["before", "open", "sealed", "revealed"])
@pytest.mark.parametrize(("action", "who"), list(itertools.product(ACTIONS, WHO)))
def test_the_authorisation_matrix(open_bench, phase: str, action: str, who: str) -> None:
    """Every role x every transaction x every state of a round: the rest is rejected."""
    bench, sender, new = open_bench, WHO[who], SigningKey(b"n" * 32).public.encoded
    if phase != "before":
        bench.play(phase)
    register(bench)
    bench.sequence[NEW] = 0
    statement = possession(bench.genesis.chain_id, sender, new)
    bodies = {
        "register": {"key": key(bench, sender)},
        "approve": {"member": NEW, "key": key(bench, NEW)},
        "leave": {},
        "rotate": {"key": new, "possession": SigningKey(b"n" * 32).sign(statement)},
        "revoke": {"member": 1},
        "nothing": {},
    }
    before = bench.entries()

    code = bench.do(sender, f"membership.{action}", bodies[action])

    told = TOLD[action].get(who, "not-member")
    assert code == ("ok" if (action, who) == ("register", "stranger") else told)
    if code != "ok":
        after = bench.entries()
        assert {k: v for k, v in after.items() if before.get(k) != v}.keys() <= {
            sequence_key(sender)
        }


# ---- sequences of transactions ------------------------------------------------------------------

VALUES = st.none() | st.integers(-2, 9) | st.binary(max_size=33) | st.sampled_from(["", "x"])
BODIES = st.dictionaries(st.sampled_from(["key", "member", "possession", "x"]), VALUES)


@given(st.sampled_from(ACTIONS), st.integers(0, 9), BODIES)
def test_any_body_has_an_outcome(make_bench, action: str, sender: int, body) -> None:
    """Arbitrary bodies give a typed rejection, never an exception or a change of state."""
    bench = make_bench(coordinator=8, quorums=QUORUMS)
    before = bench.entries()

    code = bench.do(sender, f"membership.{action}", body)

    changed = {k for k, v in bench.entries().items() if before.get(k) != v}
    assert code == "ok" or changed <= {sequence_key(sender)}
    assert code != "ok" or action == "revoke", "all else needs signatures, or more replicas"


STEPS = st.lists(
    st.tuples(
        st.sampled_from([*ACTIONS[:5], "play", "replay"]), st.integers(0, 7), st.integers(0, 7)
    ),
    max_size=30,
)


def perform(bench, what: str, sender: int, other: int) -> None:
    """One step by a member that knows its last number, whatever it is worth."""
    bench.sequence[sender] = last_sequence(bench.copy, sender)
    match what:
        case "register":
            bench.do(sender, "membership.register", {"key": key(bench, sender)})
        case "approve":
            body = {"member": other, "key": key(bench, other)}
            bench.do(sender, "membership.approve", body)
        case "leave":
            bench.do(sender, "membership.leave", {})
        case "rotate":
            new = SigningKey(bytes([sender, other]) * 16)
            if rotate(bench, sender, new) == "ok" and not task.status(bench.copy).is_open:
                bench.keys[sender] = new
        case "revoke":
            bench.do(sender, "membership.revoke", {"member": other})
        case "play":
            now = task.status(bench.copy)
            if now.is_open:
                for hospital in task.round(bench.copy, now.round).eligible:
                    bench.sequence[hospital] = last_sequence(bench.copy, hospital)
                    bench.decline(hospital, now.round)
                bench.aggregate((), now.round)
            else:
                bench.open(now.round + 1, eligible=list(hospitals(bench.copy)))
        case _:
            height = min(bench.copy.height, 1 + other)
            payloads = bench.copy.block(height).transactions if height else ()
            bench.copy.execute(payloads, view=0, proposer=0, time_us=0)


@given(STEPS)
def test_there_are_always_voters_whose_keys_are_members(make_bench, steps) -> None:
    """After any transactions: epochs count by one, voters are members, and enough to certify."""
    one, other = (make_bench(coordinator=8, quorums=QUORUMS) for _ in range(2))
    for step in steps:
        before = one.copy.epoch
        perform(one, *step)
        perform(other, *step)
        now, voting = one.copy.epoch, committee(one.copy)
        assert now == before or (now.number, now.since) == (
            before.number + 1,
            one.copy.height + 1,
        )
        assert len(voting.replicas) >= 4
        assert voting.quorum == QUORUMS[len(voting.replicas) - 1]
        assert set(hospitals(one.copy)) <= set(voting.replicas)
        for replica, public in now.voters.replicas:
            assert one.copy.get(member_key(replica))["key"] == public
        assert len(set(now.voters.keys.values())) == len(voting.replicas)

    assert one.copy.tip.digest == other.copy.tip.digest
