"""Scenarios 11 to 13, 28 and 30: crashes, lost state, and state that others make up."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.replica import build
from simulation.consensus.protocol import Restarted
from tests.consensus.pbft.conftest import state_after
from tests.consensus.pbft.stage import QUICK, Stage

K, L = QUICK.checkpoint_interval, QUICK.window


def busy(stage: Stage, count: int, first_ms: float = 0, every_ms: float = 15) -> None:
    """Requests of replicas 0 to 2, one after the other."""
    for k in range(count):
        stage.request(k % 3, first_ms + every_ms * k)


@pytest.mark.parametrize("forgets", [0, 1])
@pytest.mark.parametrize("replica", [0, 3])
def test_scenario_11_crash_and_recovery(replica: int, forgets: int) -> None:
    """A crashed replica comes back with or without its memory, catches up, votes nothing twice."""
    stage = Stage()
    busy(stage, 30)
    stage.at(47, "crash", replica, forgets)
    stage.at(300, "restart", replica)

    stage.finish()

    assert len(stage.orders(replica)) == 30
    assert len(set(stage.views)) == 1


def test_scenario_11_a_crash_between_two_votes() -> None:
    """Down with PREPARE sent and COMMIT not: it stands by its PREPARE when it is back."""
    stage = Stage()
    stage.tap = lambda src, dst, x: None if isinstance(x, m.Commit) else 0
    stage.request(1, 0)
    stage.until(20)
    stage.at(20, "crash", 3, 1)
    stage.at(25, "restart", 3)
    stage.tap = lambda src, dst, x: 0
    stage.until(21)
    before = {s.message.digest for s in stage.on_wire("prepare", 3)}

    stage.finish()

    assert {s.message.digest for s in stage.on_wire("prepare", 3)} == before
    assert len(before) == 1


def test_scenario_11_an_empty_disk() -> None:
    """A replica that lost everything joins anew: it counts as faulty, and gets the whole state."""
    stage = Stage(outsiders=[3])
    busy(stage, 3 * L)
    stage.until(500)
    assert len(stage.journals[3]) == 3 * L

    fresh = build(3, 4, QUICK)
    stage.erase(3, fresh)
    stage._feed(3, Restarted())
    stage.until(1_500)

    assert [b.digest for b in stage.journals[3]] == [b.digest for b in stage.journals[0]]
    assert (fresh.executed, fresh.low) == (3 * L, 3 * L)
    busy(stage, 4, 1_500)
    stage.until(2_000)
    assert len(stage.journals[3]) == len(stage.journals[0]) == 3 * L + 4
    stage.check()


def test_scenario_11_an_old_disk() -> None:
    """A replica set back to an old backup counts as faulty: it harms nobody and catches up."""
    stage = Stage(outsiders=[3])
    busy(stage, 3 * L)
    stage.until(60)
    height, old = len(stage.journals[3]), stage.core(3).durable()
    assert 0 < height < L
    state = stage._states[3]
    stage.until(600)

    core = build(3, 4, QUICK)
    core.restore(old)
    stage.erase(3, core, height)
    stage._states[3] = state
    stage._feed(3, Restarted())
    stage.until(1_500)

    assert [b.digest for b in stage.journals[3]] == [b.digest for b in stage.journals[0]]
    stage.check()


def test_scenario_12_a_laggard_below_the_low_water_mark() -> None:
    """The others have cut their logs behind it: the state comes with a stable certificate."""
    stage = Stage()
    stage.at(0, "cut", -1, 0, 3)
    busy(stage, 3 * L)
    stage.until(600)
    assert (stage.heights, stage.core(0).low) == ([3 * L] * 3 + [0], 3 * L)

    stage.at(600, "heal")
    stage.finish()

    (transfer,) = stage.reported("state-transfer")
    assert transfer.replica == 3
    assert transfer.detail.startswith(f"{3 * L} batches")
    assert stage.core(3).low == 3 * L
    assert [s.src for s in stage.on_wire("fetch-state")] == [3] * (3 * L // QUICK.transfer_batches)
    assert stage.reported("view-change") == []


def test_scenario_13_a_source_that_lies() -> None:
    """Batches that do not lead to the certified history are refused, and another source asked."""
    stage = Stage(liars={0: ["bad-state-transfer"]})
    stage.at(0, "cut", -1, 0, 3)
    for k in range(3 * L):
        stage.request(1 + k % 2, 15 * k)
    stage.until(600)
    stage.at(600, "heal")

    stage.finish()

    assert {h.replica for h in stage.reported("bad-transfer")} == {3}
    assert {h.detail for h in stage.reported("bad-transfer")} == {"from replica 0"}
    assert [h.replica for h in stage.reported("state-transfer")] == [3]


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_scenario_13_a_source_that_vanishes(pieces: int) -> None:
    """After none, one or three pieces of the state: the next source starts from what is checked."""
    stage = Stage()
    stage.at(0, "cut", -1, 0, 3)
    busy(stage, 3 * L)
    stage.until(600)
    stage.at(600, "heal")
    first: list[int] = []

    def vanish(src: int, dst: int, x: Any) -> int | None:
        if isinstance(x, m.State):
            first.append(src)
        gone = first and src == first[0] and len(first) > pieces
        return None if gone else 0

    stage.tap = vanish
    stage.until(2_500)
    stage.tap = lambda src, dst, x: 0
    stage.finish()

    assert len({s.dst for s in stage.on_wire("fetch-state")}) == 2
    (transfer,) = stage.reported("state-transfer")
    assert f"from {first[0]}" not in transfer.detail


def test_scenario_28_a_site_goes_down() -> None:
    """f replicas crash at the same moment, and come back at the same moment, without memory."""
    stage = Stage(7)
    for k in range(30):
        stage.request(2 + k % 5, 15 * k)
    for i in (0, 1):
        stage.at(100, "crash", i, 1)
        stage.at(1_500, "restart", i)

    stage.finish()

    assert len(stage.orders(0)) == 30


def test_scenario_28_a_rolling_restart() -> None:
    """One replica after the other is restarted, each with its memory lost: service goes on."""
    stage = Stage()
    for i in range(4):
        stage.at(100 + 400 * i, "crash", i, 1)
        stage.at(300 + 400 * i, "restart", i)
    for k in range(40):
        stage.request(k % 4, 50 * k)

    stage.finish()

    assert len(stage.orders(0)) == 40


@pytest.mark.parametrize("forgets", [0, 1])
def test_scenario_28_a_total_outage(forgets: int) -> None:
    """All are down at once in the middle of work, and return one by one: nothing is lost."""
    stage = Stage()
    busy(stage, 12, every_ms=5)
    for i in range(4):
        stage.at(31, "crash", i, forgets)
    stage.until(40)
    decided = [list(stage.orders(i)) for i in range(4)]
    assert max(map(len, decided)) < 12
    for i in range(4):
        stage.at(1_000 + 70 * i, "restart", i)

    stage.finish()

    for i in range(4):
        assert stage.orders(i)[: len(decided[i])] == decided[i]


def test_scenario_30_a_ledger_tampered_with_at_rest() -> None:
    """A hospital edits its own copy: its next CHECKPOINT stands alone, and it is told so."""
    stage = Stage(outsiders=[2])
    busy(stage, 2)
    stage.until(100)
    stage._states[2] = state_after(666)

    busy(stage, K, 100)
    stage.until(400)

    claims = {s.src: s.message.state for s in stage.on_wire("checkpoint") if s.message.seq == K}
    assert claims[0] == claims[1] == claims[3] != claims[2]
    for i in (0, 1, 3):
        assert stage.core(i).low == K
        assert {v.signed_by for v in stage.core(i).stable_proof} == {0, 1, 3}
    assert stage.reports["diverged"] == 1
    stage.check()
