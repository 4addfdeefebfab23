"""Chained HotStuff: giving up leaders (§4.1, §4.4, §6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulation.consensus.hotstuff.blocks import (
    GENESIS_QC,
)
from simulation.consensus.hotstuff.messages import (
    NewView,
    RequestMessage,
    Sync,
    new_view,
)
from simulation.consensus.hotstuff.replica import build
from simulation.consensus.protocol import (
    Broadcast,
    TimerFired,
)
from simulation.consensus.signing import Signer
from tests.consensus.hotstuff.bench import (
    AT_ONCE,
    QUICK,
    chain,
    fed,
    offer,
    request,
    take,
    timeout,
)


def test_a_silent_leader_is_given_up(group: Any) -> None:
    """§4.1: NEW-VIEWs of a quorum start the next leader's view; the request is decided there."""
    net = group(QUICK, 4)
    net.down.add(0)
    for replica in (1, 2, 3):
        net.propose(replica, request(replica))

    net.run()

    orders = net.orders()[1:]
    assert all(order == orders[0] for order in orders)
    assert sorted(r.client for r in orders[0]) == [1, 2, 3]
    assert {d.view for d in net.decided[1]} == {1}


def test_f_plus_one_new_views_take_everybody_along() -> None:
    """At least one of f + 1 is honest, so a replica joins them; f alone move nobody."""
    core = build(3, 4, AT_ONCE)
    assert not [e for e in take(core, 1, new_view(Signer(1), 1, GENESIS_QC)) if is_new_view(e)]
    joined = [e for e in take(core, 2, new_view(Signer(2), 1, GENESIS_QC)) if is_new_view(e)]
    assert [e.message.view for e in joined] == [1]
    assert core.round == 4  # its own NEW-VIEW completes the quorum


def is_new_view(effect: Any) -> bool:
    return isinstance(effect, Broadcast) and isinstance(effect.message, NewView)


def test_timeouts_double_with_every_view_and_start_again_after_a_commitment() -> None:
    """§4.4: exponential back-off."""
    core = build(3, 4, AT_ONCE)
    first_us = core.timeout_us()
    for view in (1, 2, 3):
        take(core, 0, Sync(GENESIS_QC, None, timeout(view)))
        assert core.timeout_us() == first_us << view
    assert core.round == 12
    assert fed(chain(4, request(0))).timeout_us() == first_us


@pytest.mark.parametrize("timeout_ms", [250, 8_000])
@pytest.mark.parametrize("dead", [1, 2, 3])
def test_successive_dead_leaders_cost_the_sum_of_their_timeouts(
    dead: int, timeout_ms: int, group: Any
) -> None:
    """§4.4: the interval doubles: k dead leaders cost T(2ᵏ − 1), and (k + 1)d for the NEW-VIEWs."""
    d_us = 5_000
    params = replace(QUICK, round_timeout_ms=timeout_ms, client_retry_ms=10**6)
    net = group(params, 10, lambda *_: d_us)
    net.down |= set(range(dead))
    net.propose(9, request(9))

    net.run()

    entered_us = timeout_ms * 1_000 * (2**dead - 1) + (dead + 1) * d_us
    # The new leader decides after three rounds of 2d, everybody else one message later.
    assert net.decided_at[dead] == [entered_us + 6 * d_us]
    assert net.decided_at[9] == [entered_us + 7 * d_us]
    living = 10 - dead
    assert net.sent["new-view"] == dead * living * 9


@pytest.mark.parametrize(("others", "insists"), [((), False), ((2,), True)])
def test_who_is_alone_in_giving_up_is_content_with_a_commitment(
    others: tuple[int, ...], insists: bool
) -> None:
    """One replica's impatience ends with the next commitment; f + 1 hold on to theirs."""
    core = build(3, 4, replace(AT_ONCE, tenure=8))
    take(core, 0, RequestMessage(request(0)))
    core.step(TimerFired(("round",)), 0)
    for other in others:
        take(core, other, new_view(Signer(other), 1, GENESIS_QC))
    assert (core.view, core.target, core.insists) == (0, 1, True)

    for block in chain(4, request(0)):
        take(core, 0, offer(block, by=0))

    assert core.executed == 1
    assert core.insists == insists
    # The last block is certified by the next leader only, who has nothing to propose then.
    assert not core.waiting


def test_tenure_one_never_commits_beside_a_silent_replica_of_four(group: Any) -> None:
    """Why the default is 4: no three successive rounds are proposed and certified by the living."""
    lines = {}
    for tenure in (1, 4):
        net = group(replace(QUICK, tenure=tenure), 4)
        net.down.add(3)
        net.propose(0, request(0))
        net.run(until_us=100_000_000)
        lines[tenure] = len(net.decided[0])
    assert lines == {1: 0, 4: 1}
