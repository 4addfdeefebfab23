"""Scenarios 6 to 10, 14, 23 and 26: what the network and clocks do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.replica import PbftReplica
from simulation.consensus.protocol import Decide, Effect, Input, Receive, SetTimer
from tests.consensus.pbft.stage import MS, QUICK, Stage


def test_scenario_06_duplicates_and_reordering() -> None:
    """Every second message comes twice and all in a wild order: no effect on what is decided."""
    stage = Stage(spread_us=40 * MS)
    stage.at(0, "duplicate", value=500)
    for k in range(30):
        stage.request(k % 4, k * 10)

    stage.finish()

    assert sum(b.requests != () for b in stage.journals[0]) == 30


def test_scenario_06_replayed_messages_of_old_views() -> None:
    """All that was ever sent, sent again: no decision, no vote, no view changes by it."""
    stage = Stage(liars={0: ["split-evenly"]})
    for k in range(8):
        stage.request(1 + k % 3, k * 30)
    stage.finish()
    assert min(stage.views) >= 1
    before = (stage.views, stage.heights, len(stage.reported("view-change")))

    core = stage.core(2)
    effects: list[Effect[Any]] = []
    for sent in list(stage.wire):
        if sent.dst == 2:
            effects += core.step(Receive(sent.src, sent.message), stage.now_us)

    votes = (m.PrePrepare, m.Prepare, m.Commit, m.Checkpoint, m.ViewChange)
    said = [e for e in effects if isinstance(getattr(e, "message", None), votes)]
    assert [e for e in effects if isinstance(e, Decide)] == []
    assert [e for e in said if e.message.signed_by != 2] == []
    assert (stage.views, stage.heights, len(stage.reported("view-change"))) == before


@pytest.mark.parametrize("percent", [0, 10, 20, 30])
def test_scenario_07_lost_messages(percent: int) -> None:
    """Up to three messages in ten are lost: STATUS finds what is missing, all is executed."""
    stage = Stage(params=replace(QUICK, request_timeout_ms=1_000.0, heartbeat_ms=0.0))
    stage.at(0, "loss", value=10 * percent)
    for k in range(20):
        stage.request(k % 4, k * 25)
    stage.at(3_000, "loss", value=0)

    stage.finish()

    repeated = len(stage.on_wire("status")) + len(stage.on_wire("committed"))
    assert (repeated > 0) == (percent > 0)


def test_scenario_08_votes_before_the_proposal() -> None:
    """PREPAREs and COMMITs arrive before the PRE-PREPARE: they are kept, and it still decides."""
    stage = Stage()
    stage.tap = lambda src, dst, x: 40 * MS if isinstance(x, m.PrePrepare) and dst == 3 else 0

    for k in range(4):
        stage.request(1, k * 5)
    stage.until(35)
    others = stage.heights[:3]
    stage.until(70)

    assert others == [4, 4, 4]
    assert stage.heights == [4] * 4
    assert stage.reported("view-change") == []
    assert stage.on_wire("status") == stage.on_wire("committed") == []
    stage.check()


def test_scenario_08_commits_before_prepares() -> None:
    """A replica that gets all COMMITs first decides when it is prepared itself, not before."""
    stage = Stage()
    stage.tap = lambda src, dst, x: 40 * MS if isinstance(x, m.Prepare) and dst == 3 else 0

    stage.request(1, 0)
    stage.until(35)
    assert stage.heights == [1, 1, 1, 0]
    stage.until(70)

    assert stage.heights == [1] * 4
    assert stage.on_wire("status") == []


@pytest.mark.parametrize("one_way", [0, 1])
@pytest.mark.parametrize(("n", "group"), [(4, (3,)), (4, (0,)), (7, (0, 1)), (7, (5, 6))])
def test_scenario_09_a_minority_cut_off(n: int, group: tuple[int, ...], one_way: int) -> None:
    """The larger part goes on; the smaller one decides nothing, and follows after healing."""
    stage = Stage(n)
    stage.at(0, "cut", -1, one_way, *group)
    outside = [i for i in range(n) if i not in group]
    for k in range(8):
        stage.request(outside[k % len(outside)], 10 + 40 * k)
    stage.request(group[0], 20)
    stage.until(1_500)
    heights = [len(stage.journals[i]) for i in range(n)]

    assert all(heights[i] >= 8 for i in outside)
    if not one_way:
        assert all(heights[i] == 0 for i in group)
    stage.at(1_500, "heal")
    stage.finish()
    assert {(group[0], 1)} <= set(stage.orders(outside[0]))


@pytest.mark.parametrize(("n", "group"), [(4, (0, 1)), (7, (0, 1, 2)), (8, (0, 2, 4, 6))])
def test_scenario_09_halves(n: int, group: tuple[int, ...]) -> None:
    """No part has a quorum: nothing is decided anywhere until the network heals."""
    stage = Stage(n)
    stage.at(0, "cut", -1, 0, *group)
    for i in range(n):
        stage.request(i, 10)
    stage.until(2_000)
    assert stage.heights == [0] * n

    stage.at(2_000, "heal")
    stage.finish()

    assert set(stage.orders(0)) == {(i, 1) for i in range(n)}


def test_scenario_09_a_bridge() -> None:
    """Two halves that meet in one replica only: it sees everything and can decide nothing alone."""
    stage = Stage(5)
    left, right = {0, 1}, {3, 4}
    stage.tap = lambda src, dst, x: None if {src, dst} & left and {src, dst} & right else 0
    for i in range(5):
        stage.request(i, 10)
    stage.until(1_000)
    assert stage.heights == [0] * 5, "the quorum of five is four"

    stage.tap = lambda src, dst, x: 0
    stage.finish()

    assert len(stage.orders(2)) == 5


def test_scenario_10_leader_isolated_right_after_it_decided() -> None:
    """Only the leader has decided when it is cut off: the others come to the same decision."""
    stage = Stage()
    stage.tap = lambda src, dst, x: (
        None if isinstance(x, m.Commit) and x.view == 0 and dst != 0 else 0
    )
    stage.request(1, 0)
    stage.until(15)
    assert stage.heights == [1, 0, 0, 0]
    digest = stage.journals[0][0].digest

    stage.tap = lambda src, dst, x: None if 0 in (src, dst) else 0
    stage.request(2, 20)
    stage.until(900)
    assert [stage.journals[i][0].digest for i in (1, 2, 3)] == [digest] * 3
    assert stage.core(1).view >= 1

    stage.tap = lambda src, dst, x: 0
    stage.finish()
    assert stage.orders(0) == [(1, 1), (2, 1)]


def test_scenario_14_the_window_is_full() -> None:
    """The primary waits for the checkpoint at the end of a small window; nobody suspects it."""
    small = replace(QUICK, checkpoint_interval=2, window=4, request_timeout_ms=1_000.0)
    stage = Stage(params=small, liars={3: ["false-checkpoint"]})
    stage.at(0, "slow", 2, 20 * MS)
    for k in range(24):
        stage.request(k % 3, 0)

    stage.finish()

    assert stage.reported("view-change") == []
    assert max(s.message.seq for s in stage.on_wire("pre-prepare", 0)) == 24
    marks = 0
    for sent in stage.wire:
        if isinstance(sent.message, m.Checkpoint) and sent.src == 2:
            marks = sent.message.seq
        if isinstance(sent.message, m.PrePrepare):
            assert sent.message.seq <= marks + 4, "beyond H without the slow one's checkpoint"


@pytest.mark.parametrize("seed", range(4))
def test_scenario_23_an_adversary_that_sees_everything(seed: int) -> None:
    """It always cuts off whoever has just proposed, and two equivocators help it: no fork."""
    stage = Stage(7, liars={5: ["split-evenly", "vote-to-each"], 6: ["vote-for-all"]}, seed=seed)
    victim, since_us = -1, 0

    def adversary(src: int, dst: int, x: Any) -> int | None:
        nonlocal victim, since_us
        if isinstance(x, (m.PrePrepare, m.NewView)) and stage.now_us > since_us + 50 * MS:
            victim, since_us = src, stage.now_us
        if isinstance(x, m.Commit) and dst % 2:
            return 30 * MS
        return None if victim in (src, dst) and stage.now_us < since_us + 50 * MS else 0

    stage.tap = adversary
    for k in range(12):
        stage.request(k % 5, 40 * k)
    stage.until(2_500)
    stage.check()
    assert max(stage.views) >= 1

    stage.tap = lambda src, dst, x: 0
    stage.finish()


class Clock:
    """A replica whose clock is off by a constant and runs too fast or too slow."""

    def __init__(self, core: PbftReplica, offset_us: int, permille: int) -> None:
        self.core, self.offset_us, self.permille = core, offset_us, permille

    @property
    def id(self) -> int:
        return self.core.id

    @property
    def leader(self) -> int:
        return self.core.leader

    def step(self, event: Input[Any], now_us: int) -> Sequence[Effect[Any]]:
        out: list[Effect[Any]] = []
        for effect in self.core.step(event, now_us + self.offset_us):
            if isinstance(effect, SetTimer):
                delay_us = effect.delay_us * 1000 // self.permille
                out.append(SetTimer(effect.timer, delay_us))
            else:
                out.append(effect)
        return out


def on_clocks(clocks: Sequence[tuple[int, int]]) -> Stage:
    stage = Stage(params=replace(QUICK, clock_skew_ms=500.0))
    cores = list(stage.cores)
    stage.cores = [Clock(c, ms * MS, rate) for c, (ms, rate) in zip(cores, clocks, strict=True)]
    stage.honest_core = lambda i: cores[i]  # type: ignore[method-assign]
    return stage


def test_scenario_26_clocks_that_differ_a_little() -> None:
    """Offsets of a fifth of a second and timers a third too fast or slow: nothing changes."""
    stage = on_clocks([(200, 1000), (0, 1300), (-200, 700), (100, 900)])
    stage.now_us = 300 * MS
    for k in range(10):
        stage.request(k % 4, 300 + k * 20)

    stage.finish()

    assert stage.views == [0] * 4
    assert stage.reported("view-change") == []


def test_scenario_26_a_leader_far_ahead_of_its_time() -> None:
    """Its proposals are refused as from the future; the next leader does the work."""
    stage = on_clocks([(600_000, 1000), (0, 1000), (0, 1000), (0, 1000)])
    stage.request(2, 10)

    stage.finish()

    assert min(stage.views) >= 1
    assert stage.decided_at(1).time_us < 10_000 * MS
