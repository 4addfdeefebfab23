"""The gate: members, roles and sequence numbers as state."""

from __future__ import annotations

from simulation.contracts.membership import last_sequence, member_key, role_of, sequence_key


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
