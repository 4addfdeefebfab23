"""Twins: two honest copies with one identity find equivocation bugs without attack code.

Source: Bano et al., "Twins: BFT Systems Made Robust", OPODIS 2021.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulation.consensus import invariants
from simulation.consensus.byzantine import Twins
from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.replica import build
from simulation.consensus.protocol import (
    Broadcast,
    Receive,
    Restarted,
    Send,
    SetTimer,
    TimerFired,
)
from tests.consensus.pbft.conftest import request
from tests.consensus.pbft.stage import QUICK, Stage


def twins(stage: Stage, replica: int, side: Any) -> Twins:
    """Put two copies with one identity in a replica's place."""
    n, params = stage.n, stage.params
    pair = Twins((build(replica, n, params), build(replica, n, params)), n, side)
    stage.cores[replica] = pair
    return pair


@pytest.mark.parametrize("split", [1, 2, 3])
def test_twins_as_primary_equivocate_and_cannot_fork_the_group(split: int) -> None:
    """Two honest copies, each with its own requests and its own side: f = 1 is tolerated."""
    stage = Stage(outsiders=[0])
    pair = twins(stage, 0, lambda peer: int(peer >= split))
    stage.request(1, 0)
    stage.request(3, 0)
    stage.until(8)
    proposals = {s.message.digest for s in stage.on_wire("pre-prepare", 0) if s.message.seq == 1}
    stage.until(5_000)

    assert len(proposals) == (1 if split == 1 else 2), "two proposals for one number"
    assert [stage.orders(i) for i in (1, 2, 3)] == [stage.orders(1)] * 3
    assert set(stage.orders(1)) == {(1, 1), (3, 1)}
    assert pair.id == 0
    stage.check()


@pytest.mark.parametrize(("rule", "forks"), [("2f+1", True), ("safe", False)])
def test_twins_find_the_unsafe_quorum(rule: Any, forks: bool) -> None:
    """Of five replicas 2f + 1 = 3 decide: one doubled primary forks them without attack code."""
    stage = Stage(5, params=replace(QUICK, quorum=rule), outsiders=[0])
    stage.observer = invariants.observe(5, frozenset({1, 2, 3, 4}), None)
    twins(stage, 0, lambda peer: int(peer > 2))
    stage.request(1, 0)
    stage.request(3, 0)
    stage.until(2_000)

    assert [v.property for v in stage.observer.violations][:1] == ["agreement"] * forks


def test_twins_keep_their_inputs_apart() -> None:
    """A message goes to the copy of its side, a timer to the copy that set it, the rest to both."""
    copies = (build(0, 4, QUICK), build(0, 4, QUICK))
    pair = Twins(copies, 4, lambda peer: int(peer == 3))

    one = list(pair.step(Receive(1, m.RequestMessage(request(1))), 0))
    other = list(pair.step(Receive(3, m.RequestMessage(request(3))), 0))
    both = list(pair.step(Restarted(), 0))

    assert list(copies[0].waiting) == [(1, 1)]
    assert list(copies[1].waiting) == [(3, 1)]
    to = [sorted({e.to for e in out if isinstance(e, Send)}) for out in (one, other, both)]
    assert to == [[1, 2], [3], [1, 2, 3]]
    assert not [e for e in (*one, *other, *both) if isinstance(e, Broadcast)]
    timers = {e.timer for e in (*one, *other) if isinstance(e, SetTimer)}
    assert {timer[0] for timer in timers} == {0, 1}

    copies[0].timers.discard(("heartbeat",))
    copies[1].timers.discard(("heartbeat",))
    assert list(pair.step(TimerFired((0, "heartbeat")), 1)) == []
    copies[1].timers.add(("heartbeat",))
    said = list(pair.step(TimerFired((1, "heartbeat")), 1))
    assert {e.to for e in said if isinstance(e, Send)} == {3}
    assert [e.timer for e in said if isinstance(e, SetTimer)] == [(1, "heartbeat")]
