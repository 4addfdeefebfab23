"""Message counts and times of the normal case (§4.2)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from simulation.base.ids import NodeId
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.protocol import Request


@pytest.mark.parametrize("n", [4, 5, 6, 7, 8, 10, 16, 31])
def test_message_counts_per_decision_are_exact(n: int, group: Any) -> None:
    """§4.2: n−1 PRE-PREPAREs, (n−1)² PREPAREs, n(n−1) COMMITs for each decision."""
    net = group(PbftParams(batch_max_age_ms=0.0), n)
    for k in range(5):
        net.propose(0, Request(NodeId(0), k, b"x"), time_us=k * 10_000)

    net.run()

    assert all(len(decided) == 5 for decided in net.decided)
    assert net.sent["pre-prepare"] == 5 * (n - 1)
    assert net.sent["prepare"] == 5 * (n - 1) ** 2
    assert net.sent["commit"] == 5 * n * (n - 1)
    assert set(net.sent) == {"pre-prepare", "prepare", "commit"}


def test_counts_are_exact_with_jitter_and_checkpoints(group: Any) -> None:
    """A replica that already has its quorum still sends its vote, also when others are ahead."""
    draw = Random(11)
    net = group(
        PbftParams(batch_max_requests=1, checkpoint_interval=4, window=8),
        7,
        lambda *_: draw.randint(10, 50_000),
    )
    for k in range(60):
        net.propose(k % 7, Request(NodeId(k % 7), k, b"x"), time_us=k * 100)

    net.run()

    assert all(len(decided) == 60 for decided in net.decided)
    assert net.sent["pre-prepare"] == 60 * 6
    assert net.sent["prepare"] == 60 * 36
    assert net.sent["commit"] == 60 * 42
    assert net.sent["checkpoint"] == 15 * 42


def test_with_equal_delays_a_decision_takes_three(group: Any) -> None:
    """Prepared at 2d, committed at 3d; a request from a backup takes one more to the primary."""
    for proposer, hops in ((0, 3), (2, 4)):
        net = group(PbftParams(batch_max_age_ms=0.0), 4, lambda *_: 7000)
        net.propose(proposer, Request(NodeId(proposer), 0, b"x"))
        net.run()
        assert net.decided_at == [[hops * 7000]] * 4
