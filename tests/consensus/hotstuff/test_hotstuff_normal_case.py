"""Chained HotStuff without faults: messages and times beside their closed forms (§5)."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.consensus.hotstuff.params import HotStuffParams
from tests.consensus.hotstuff.bench import (
    AT_ONCE,
    request,
)


@pytest.mark.parametrize("n", [4, 5, 6, 7, 8, 10, 16, 31, 64])
def test_a_decision_that_stands_alone_takes_four_rounds(n: int, group: Any) -> None:
    """§5: its block and three more, n − 1 proposals and n − 1 votes each: 8(n − 1), linear in n."""
    net = group(AT_ONCE, n)
    for k in range(5):
        net.propose(0, request(0, k), time_us=k * 100_000)

    net.run()

    assert all(len(decided) == 5 for decided in net.decided)
    assert net.sent["proposal"] == 5 * 4 * (n - 1)
    assert net.sent["vote"] == 5 * 4 * (n - 1)
    assert net.sent["request"] == 5 * (n - 1)
    assert set(net.sent) == {"proposal", "vote", "request"}


@pytest.mark.parametrize("n", [4, 7, 16])
@pytest.mark.parametrize("tenure", [1, 4, 5])
def test_in_a_chain_each_decision_takes_one_round(n: int, tenure: int, group: Any) -> None:
    """§5: phases of successive blocks share their messages: 2(n − 1)(D + 3) for D decisions."""
    net = group(HotStuffParams(batch_max_requests=1, batch_max_age_ms=0.0, tenure=tenure), n)
    for k in range(40):
        net.propose(0, request(0, k), time_us=0)

    net.run()

    assert all(len(decided) == 40 for decided in net.decided)
    assert net.sent["proposal"] == net.sent["vote"] == 43 * (n - 1)


def test_with_equal_delays_the_fourth_proposal_decides(group: Any) -> None:
    """§5: each round takes 2d; the leader of the fourth decides at 6d, the others at 7d."""
    for proposer, extra in ((0, 0), (2, 1)):
        net = group(AT_ONCE, 4, lambda *_: 7000)
        net.propose(proposer, request(proposer))
        net.run()
        # Rounds 1 to 3 belong to replica 0, round 4 to replica 1.
        at = [(7 + extra) * 7000] * 4
        at[1] = (6 + extra) * 7000
        assert net.decided_at == [[us] for us in at]


def test_an_idle_group_falls_silent(group: Any) -> None:
    """Without work there are no blocks and no timers."""
    net = group(AT_ONCE, 4)
    net.propose(3, request(3))

    net.run(until_us=10**12)

    assert not net._heap
    assert net.sent["proposal"] == 4 * 3
