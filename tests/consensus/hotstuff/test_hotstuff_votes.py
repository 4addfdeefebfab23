"""Chained HotStuff: who votes for what, the lock, and when a block is committed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.consensus.hotstuff.blocks import (
    GENESIS,
    GENESIS_QC,
)
from simulation.consensus.hotstuff.messages import (
    Proposal,
)
from simulation.consensus.hotstuff.replica import build
from simulation.consensus.protocol import (
    Decide,
    Report,
    Restarted,
)
from simulation.consensus.signing import Signature
from tests.consensus.hotstuff.bench import (
    AT_ONCE,
    certify,
    chain,
    child,
    fed,
    leader,
    offer,
    request,
    take,
    timeout,
    votes,
)


def test_votes_go_to_the_next_leader_only() -> None:
    """Algorithm 3: the vote goes to the leader of the next round."""
    core = build(3, 4, AT_ONCE)
    seen = []
    for block in chain(4):
        seen += votes(take(core, leader(block.round), offer(block)))
    assert seen == [(0, 1), (0, 2), (1, 3), (1, 4)]


def test_one_vote_in_each_round() -> None:
    """§5: a second proposal of the round gets no vote, and is evidence against its leader."""
    core = build(3, 4, AT_ONCE)
    one, other = child(GENESIS, GENESIS_QC, 1, request(0)), child(GENESIS, GENESIS_QC, 1)
    assert votes(take(core, 0, offer(one))) == [(0, 1)]
    effects = take(core, 0, offer(other))
    assert votes(effects) == []
    assert [e.what for e in effects if isinstance(e, Report)] == ["equivocation"]


def test_the_vote_outlives_the_memory() -> None:
    """vheight and the lock are durable."""
    core = fed(chain(3))
    again = build(3, 4, AT_ONCE)
    again.restore(core.durable())
    again.step(Restarted(), 0)
    assert (again.voted_round, again.locked_round) == (3, 1)
    rival = child(GENESIS, GENESIS_QC, 3)
    assert votes(take(again, 0, offer(rival))) == []


def test_the_lock_refuses_a_fork_below_it_and_a_higher_certificate_opens_it() -> None:
    """§4.1, safeNode: extend the locked block, or show a certificate later than the lock."""
    blocks = chain(4)
    core = fed(blocks)
    assert core.locked_round == 2
    low = child(blocks[0], certify(blocks[0]), 8)
    assert votes(take(core, 2, offer(low, timeout(2)))) == []
    core = fed(blocks)
    high = child(blocks[1], certify(blocks[1]), 8)
    assert votes(take(core, 2, offer(high, timeout(2)))) == [(2, 8)]


@pytest.mark.parametrize("flaw", ["leader", "signature", "quorum", "reason", "history", "twice"])
def test_no_vote_for_a_flawed_proposal(flaw: str) -> None:
    """Everything in a proposal is checked before the vote."""
    (first,) = chain(1, request(0))
    core = fed([first])
    good = child(first, certify(first), 2, request(1))
    bad = {
        "leader": offer(good, by=1),
        "signature": Proposal(good, None, Signature(0, ("proposal", good.digest))),
        "quorum": offer(child(first, certify(first, (0, 1)), 2, request(1))),
        "reason": offer(child(first, certify(first), 4)),
        "history": offer(replace(good, history=bytes(32))),
        "twice": offer(child(first, certify(first), 2, request(0))),
    }[flaw]
    assert votes(take(core, leader(bad.block.round), bad)) == []
    assert votes(take(fed([first]), 0, offer(good))) == [(0, 2)]


def test_three_certified_blocks_in_successive_rounds_commit_the_first() -> None:
    """§5: "b is committed" when its three-chain is complete, not before."""
    blocks = chain(4, request(0))
    core = build(3, 4, AT_ONCE)
    decided = [
        [e.seq for e in take(core, leader(b.round), offer(b)) if isinstance(e, Decide)]
        for b in blocks
    ]
    assert decided == [[], [], [], [1]]


def test_a_gap_in_the_rounds_breaks_the_chain() -> None:
    """§5: dummy nodes stand for rounds without a block: a gap is no direct parent."""
    blocks = chain(2, request(0))
    core = fed(blocks)
    parent, reason = blocks[-1], timeout(1)
    decided = []
    for round_ in (4, 5, 6, 7):
        block = child(parent, certify(parent), round_)
        decided.append(
            [e.seq for e in take(core, 1, offer(block, reason)) if isinstance(e, Decide)]
        )
        parent, reason = block, None
    # Rounds 4, 5 and 6 are the first three in a row: certified in 7, they decide all before.
    assert decided == [[], [], [], [1]]
