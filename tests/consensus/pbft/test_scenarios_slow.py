"""Scenarios 18, 19 and 29: leaders and links that are unfair or slow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulation.consensus.pbft import messages as m
from tests.consensus.pbft.conftest import request
from tests.consensus.pbft.stage import MS, QUICK, Stage

T_MS = QUICK.request_timeout_ms


def test_scenario_18_censoring_leader() -> None:
    """A leader that leaves out some clients is replaced although it serves the others."""
    stage = Stage(liars={0: ["censor"]})
    for k in range(12):
        stage.request(2, k * 40)
    stage.request(1, 5)
    stage.request(3, 5)
    stage.until(100)
    assert [c for c, _ in stage.orders(2)] == [2, 2, 2]

    stage.finish()

    assert min(stage.views) >= 1
    assert {(1, 1), (3, 1)} <= set(stage.orders(2))


def test_scenario_19_slow_leader_just_under_the_timeout() -> None:
    """Nobody can blame it: decisions take nearly T, and no view changes (a known limit of PBFT)."""
    stage = Stage()
    stage.at(0, "slow", 0, int(0.8 * T_MS * MS))
    for k in range(4):
        stage.request(0, k * 300)
    stage.until(4 * 300 + 200)

    assert stage.heights == [4] * 4
    assert set(stage.views) == {0}
    assert stage.reported("request-timeout") == []
    waits_ms = [h.time_us / MS % 300 for h in stage.reported("prepared") if h.replica != 0]
    assert len(waits_ms) == 12
    assert min(waits_ms) > 0.8 * T_MS
    stage.check()


def test_scenario_19_a_slower_one_is_replaced() -> None:
    """The counterpart: just over the timeout it is deposed, and speed returns."""
    stage = Stage()
    stage.at(0, "slow", 0, int(1.2 * T_MS * MS))
    stage.submit(1, request(1))
    stage.finish()

    assert min(stage.views) >= 1


def test_scenario_29_a_slow_node_is_not_accused() -> None:
    """One replica lags far behind on its own link: no view change, no accusation; it follows."""
    stage = Stage()
    stage.at(0, "slow", 3, 150 * MS)
    for k in range(20):
        stage.request(k % 3, k * 20)

    stage.finish()

    assert stage.views == [0] * 4
    assert stage.reported("view-change") == stage.reported("equivocation") == []
    assert all(stage.core(i).evidence == {} for i in range(4))


def test_scenario_29_a_saturated_link_of_the_leader() -> None:
    """Large messages queue on the leader's uplink, small ones pass: slower, and nothing else."""
    stage = Stage(params=replace(QUICK, request_timeout_ms=400.0))
    free_us = 0

    def queue(src: int, dst: int, x: Any) -> int | None:
        nonlocal free_us
        if src != 0 or not isinstance(x, m.PrePrepare):
            return 0
        free_us = max(free_us, stage.now_us) + 5 * MS
        return free_us - stage.now_us

    stage.tap = queue
    for k in range(16):
        stage.request(k % 4, 0)

    stage.finish()

    assert stage.reported("view-change") == []
    assert stage.now_us >= 16 * 3 * 5 * MS, "n − 1 copies of each proposal went over one link"


def test_scenario_29_a_slow_node_catches_up_although_answers_take_longer_than_its_timer() -> None:
    """Answers come after 1 s, the transfer timer is 0.3 s: only waiting longer finds a source."""
    params = replace(QUICK, request_timeout_ms=10_000.0, retransmit_ms=300.0, heartbeat_ms=0.0)
    stage = Stage(params=params)
    stage.at(0, "cut", -1, 0, 3)
    for k in range(12):
        stage.request(k % 3, k * 20)
    stage.at(300, "heal")
    stage.tap = lambda src, dst, x: 500 * MS if 3 in (src, dst) else 0
    stage.request(3, 400)

    stage.finish(10_000)

    assert stage.views == [0] * 4
    assert [h.replica for h in stage.reported("state-transfer")] == [3]
