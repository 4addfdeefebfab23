"""Replicas, quorums and primaries (§3 and the opening of §4)."""

from __future__ import annotations

from itertools import combinations

import pytest

from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.protocol import TimerFired
from simulation.consensus.quorum import byzantine_quorum
from tests.consensus.pbft.conftest import EAGER, Bench, batch, pre_prepare, request, signer


@pytest.mark.parametrize(("n", "f"), [(4, 1), (5, 1), (6, 1), (7, 2), (10, 3), (13, 4), (16, 5)])
def test_n_replicas_tolerate_a_third(n: int, f: int) -> None:
    """§3: at most ⌊(n − 1) / 3⌋ of n replicas may be faulty."""
    assert byzantine_quorum(n).f == f
    assert Bench(0, n).core.quorum.f == f


def test_fewer_than_four_replicas_are_refused() -> None:
    """§3: one fault needs 3f + 1 = 4 replicas."""
    with pytest.raises(ValueError, match="n = 3f \\+ 1"):
        Bench(0, 3)


@pytest.mark.parametrize("n", range(4, 11))
def test_any_two_quorums_share_an_honest_replica(n: int) -> None:
    """§4: quorums intersect in at least one correct replica, whichever f are faulty."""
    quorum = byzantine_quorum(n)
    sets = [set(q) for q in combinations(range(n), quorum.size)]
    smallest = min(len(sets[0] & other) for other in sets)

    assert smallest >= quorum.f + 1
    assert quorum.size <= n - quorum.f, "a quorum must be there without the faulty ones"


def test_the_textbook_quorum_may_meet_in_liars_only() -> None:
    """§4: 2f + 1 is right for n = 3f + 1; of eight replicas two such quorums share only two."""
    assert byzantine_quorum(7, "2f+1") == byzantine_quorum(7)
    assert not byzantine_quorum(8, "2f+1").is_safe
    assert byzantine_quorum(8).size == 6


@pytest.mark.parametrize("n", [4, 5, 7])
def test_the_primary_of_a_view_is_its_number_modulo_n(n: int) -> None:
    """§4: primaries take turns, p = v mod n, and every replica knows whose turn it is."""
    bench = Bench(n - 1, n)
    leaders = [bench.core.leader]
    for view in range(1, n):
        if view % n != bench.core.id:
            bench.enters(view)
            assert bench.core.view == view
            leaders.append(bench.core.leader)

    assert leaders == [v % n for v in range(n) if v != n - 1]


def test_a_replica_is_a_function_of_its_inputs() -> None:
    """§3: replicas are deterministic: the same inputs from the same state, the same outputs."""
    effects = []
    for _ in range(2):
        bench = Bench(2, 4, EAGER)
        effects.append(bench.decides(1, batch(request(3))) + bench.fires("retry"))

    assert effects[0] == effects[1]
    assert len(effects[0]) > 5


def test_what_a_step_returned_does_not_change_later(bench: Bench) -> None:
    """§3: outputs are values; the next input does not alter what an earlier one gave."""
    returned = [
        bench.core.step(TimerFired(("no such timer",)), 0),
        bench.core.receive(0, pre_prepare(1, batch(request(3))), 0),
        bench.core.receive(2, m.FetchState(9, 9), 0),
        bench.core.receive(2, m.prepare(signer(2), 0, 1, batch(request(3)).digest), 0),
    ]

    assert [len(effects) > 0 for effects in returned] == [False, True, False, True]


@pytest.mark.parametrize("n", [5, 6, 8])
def test_votes_are_counted_against_the_safe_quorum_for_any_n(n: int) -> None:
    """§4.2: 2f + 1 generalised: ⌈(n + f + 1) / 2⌉ votes prepare and commit, one fewer does not."""
    size = byzantine_quorum(n).size
    bench = Bench(1, n)
    proposal = batch(request(3), n=n)
    bench.hears(0, pre_prepare(1, proposal))
    peers = list(range(2, n))

    early = bench.gets_prepares(1, proposal.digest, *peers[: size - 3])
    last = bench.gets_prepares(1, proposal.digest, peers[size - 3])

    assert (early.sent(m.Commit), len(last.to_all(m.Commit))) == ([], 1)
    voters = [0, *peers]
    assert bench.gets_commits(1, proposal.digest, *voters[: size - 2]).decisions == []
    assert bench.gets_commits(1, proposal.digest, voters[size - 2]).decisions == [(1, proposal)]


def test_nobody_can_speak_in_anothers_name() -> None:
    """§2: messages are signed; one that its sender did not sign counts for nothing."""
    bench = Bench(1, 4, PbftParams(batch_max_age_ms=0.0))
    proposal = batch(request(3))
    bench.hears(0, pre_prepare(1, proposal))

    relayed = bench.hears(3, m.prepare(signer(2), 0, 1, proposal.digest))
    unsigned = bench.hears(2, m.Prepare(0, 1, proposal.digest))

    assert relayed.kinds == unsigned.kinds == []
    assert len(bench.gets_prepares(1, proposal.digest, 2).to_all(m.Commit)) == 1
