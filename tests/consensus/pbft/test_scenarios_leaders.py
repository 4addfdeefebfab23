"""Scenarios 1 to 5 and 15 to 17: leaders that fail, lie or are deposed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from simulation.consensus.byzantine import Effects, Situation
from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import NULL_BATCH, Broadcast, Receive, Send
from tests.consensus.pbft.stage import MS, QUICK, Stage

T_MS = QUICK.request_timeout_ms
KNOWN_MS = QUICK.client_retry_ms
"""A request is known to a leader that is silent, and to nobody else, until it is repeated."""


def test_scenario_01_silent_leader() -> None:
    """A leader dead from the start is left one timeout after its backups know of a request."""
    stage = Stage()
    stage.at(0, "crash", 0)
    stage.until(1_000)
    assert stage.reported("view-change") == [], "nobody waits for anything yet"

    stage.request(2)
    stage.until(1_800)

    assert stage.orders(1) == stage.orders(2) == stage.orders(3) == [(2, 1)]
    assert stage.views[1:] == [1, 1, 1]
    assert sorted(h.replica for h in stage.reported("new-view")) == [1, 2, 3]
    first, second, *_ = [h.time_us / MS - 1_000 for h in stage.reported("view-change")]
    assert first == T_MS, "the replica whose client asks, alone"
    assert T_MS + KNOWN_MS <= second <= T_MS + KNOWN_MS + 5
    stage.check()


def test_scenario_01_a_leader_that_falls_silent_later() -> None:
    """What it left undone is finished by the next one; what was decided is not touched."""
    stage = Stage()
    for k in range(5):
        stage.request(1 + k % 3, k * 20)
    stage.until(150)
    assert stage.heights == [5] * 4
    stage.at(150, "crash", 0)
    stage.request(3, 151)
    stage.until(800)

    assert [len(stage.journals[i]) for i in (1, 2, 3)] == [6] * 3
    assert [b.view for b in stage.journals[1]] == [0] * 5 + [1]
    stage.check()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_scenario_02_consecutive_silent_leaders(k: int) -> None:
    """k dead leaders in a row: k view changes, and waits of T, 2T, 4T …"""
    stage = Stage(10, outsiders=range(k))
    for i in range(k):
        stage.at(0, "crash", i)
    stage.request(9, 0)
    stage.until(2_000)

    waits_ms = KNOWN_MS + T_MS * (2**k - 1)
    decided_ms = next(h.time_us for h in stage.heard if h.what == "prepared") / MS
    assert set(stage.views) == {k}
    assert waits_ms <= decided_ms <= waits_ms + 25 * k
    assert {h.view for h in stage.reported("new-view")} == {k}
    assert {stage.decided_at(1).view, stage.decided_at(1).proposer} == {k}
    stage.check()


def k_groups(k: int) -> Callable[[Effects, Situation], Effects]:
    """A leader that proposes something else to each of k groups."""

    def behaviour(effects: Effects, situation: Situation) -> Effects:
        out: Effects = []
        for effect in effects:
            match effect:
                case Broadcast(m.PrePrepare(view, seq, _, batch)):
                    for to in range(situation.n):
                        twin = replace(batch, time_us=batch.time_us + to % k)
                        if to != situation.id:
                            lie = m.pre_prepare(situation.signer, view, seq, twin)
                            out.append(Send(to, lie))
                case _:
                    out.append(effect)
        return out

    return behaviour


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("k", [2, 3, 6])
def test_scenario_03_equivocating_leader(n: int, k: int) -> None:
    """Different proposals for one number: no two are decided, and the leader is replaced."""
    stage = Stage(n, liars={0: [k_groups(k)]})
    for i in range(1, n):
        stage.request(i, i)

    stage.finish()

    assert min(stage.views) >= 1
    assert {h.view for h in stage.reported("new-view")} == set(range(1, max(stage.views) + 1))


def test_scenario_03_an_equivocation_that_is_seen_is_kept() -> None:
    """Who gets both proposals has the proof against the leader in its hands."""

    def both(effects: Effects, situation: Situation) -> Effects:
        return [*effects, *k_groups(2)(effects, situation), *k_groups(3)(effects, situation)]

    stage = Stage(liars={0: [both]})
    stage.request(1, 0)
    stage.finish()

    culprits = {h.detail for h in stage.reported("equivocation")}
    assert culprits == {"pre-prepare by replica 0"}
    one, other = next(stage.core(i).evidence[0] for i in (1, 2, 3) if stage.core(i).evidence)
    assert isinstance(one, m.PrePrepare)
    assert isinstance(other, m.PrePrepare)
    assert one.signed_by == other.signed_by == 0
    assert (one.view, one.seq) == (other.view, other.seq)


@pytest.mark.parametrize("lucky", [1, 2, 3])
def test_scenario_04_one_replica_committed_before_the_view_change(lucky: int) -> None:
    """One replica alone decides in view 0; the others reach the same decision in view 1."""
    stage = Stage()

    def only_the_lucky_one_commits(src: int, dst: int, message: Any) -> int | None:
        if isinstance(message, m.Commit) and message.view == 0:
            return 0 if dst == lucky else None
        return None if isinstance(message, m.Committed) else 0

    stage.tap = only_the_lucky_one_commits
    stage.request(3, 0)
    stage.until(20)
    assert stage.heights == [int(i == lucky) for i in range(4)]
    stage.at(20, "crash", 0)
    stage.request(2, 25)
    stage.until(600)

    assert min(stage.views[1:]) >= 1
    assert [stage.orders(i) for i in (1, 2, 3)] == [[(3, 1), (2, 1)]] * 3
    assert [b.view for b in stage.journals[1]] == [0, stage.views[1]]
    (started,) = {s.message.view: s.message for s in stage.on_wire("new-view")}.values()
    assert [a.seq for a in started.assignments] == [1]
    stage.check()


def lying_new_view(lie: str) -> Callable[[Effects, Situation], Effects]:
    """A new primary that changes what V implies."""

    def behaviour(effects: Effects, situation: Situation) -> Effects:
        out: Effects = []
        for effect in effects:
            match effect:
                case Broadcast(m.NewView(view, votes, assignments)):
                    pairs = [(a.seq, a.digest) for a in assignments]
                    match lie:
                        case "omits":
                            pairs = []
                        case "nulls":
                            pairs = [(seq, NULL_BATCH.digest) for seq, _ in pairs]
                        case "few":
                            votes = votes[:2]
                        case _:
                            bare = tuple(
                                m.view_change(situation.signer, view, 0, (), ()) for _ in votes
                            )
                            votes, pairs = bare, []
                    made = m.new_view(situation.signer, view, votes, tuple(pairs))
                    out.append(Broadcast(made))
                case Send(_, m.NewView()):
                    pass
                case _:
                    out.append(effect)
        return out

    return behaviour


@pytest.mark.parametrize("lie", ["omits", "nulls", "few", "forges"])
def test_scenario_05_malicious_new_view(lie: str) -> None:
    """A NEW-VIEW that hides what was prepared is refused; the next leader restores it."""
    stage = Stage(7, liars={1: [lying_new_view(lie)]}, outsiders=[0])
    stage.tap = lambda src, dst, x: None if isinstance(x, m.Commit) and x.view == 0 else 0
    stage.request(4, 0)
    stage.until(20)
    assert len(stage.reported("prepared")) >= 5
    stage.at(20, "crash", 0)
    stage.until(1_000)

    assert {h.view for h in stage.reported("bad-new-view")} == {1}
    assert {h.replica for h in stage.reported("bad-new-view")} == {2, 3, 4, 5, 6}
    assert set(stage.views) == {2}
    assert [stage.orders(i) for i in stage.honest] == [[(4, 1)]] * 5
    assert stage.decided_at(1).view == 0, "it is the batch that was prepared in view 0"
    stage.check()


def complain(effects: Effects, situation: Situation) -> Effects:
    """Ask for every view there is, all the time."""
    if isinstance(situation.event, Receive) and isinstance(situation.event.message, m.ViewChange):
        return effects  # or two of them would talk to each other only
    count = situation.memory["view"] = situation.memory.get("view", 0) + 1
    return [*effects, Broadcast(m.view_change(situation.signer, count, 0, (), ()))]


@pytest.mark.parametrize(("n", "liars"), [(4, (3,)), (7, (5, 6))])
def test_scenario_15_view_change_storm(n: int, liars: tuple[int, ...]) -> None:
    """f replicas that complain for ever are not heard: the group decides on, in view 0."""
    stage = Stage(n, liars={i: [complain] for i in liars})
    for k in range(20):
        stage.request(k % (n - len(liars)), k * 10)

    stage.finish()

    assert set(stage.views) == {0}
    assert stage.reported("view-change") == []
    assert len(stage.on_wire("view-change")) > 100


def test_scenario_16_timeouts_shorter_than_the_delay() -> None:
    """A storm of view changes at first; the doubling finds a wait that is long enough."""
    short = replace(QUICK, request_timeout_ms=5.0, retransmit_ms=200.0)
    stage = Stage(params=short)
    stage.base_delay_us = 25 * MS
    for k in range(6):
        stage.request(k % 4, k * 400)
    stage.finish()

    per_view = {h.view: h.time_us for h in stage.reported("view-change")}
    assert 3 <= len(per_view) <= 60
    assert max(stage.views) >= 3
    prepared = Counter(h.view for h in stage.reported("prepared"))
    assert min(view for view, count in prepared.items() if count >= 3) >= 2


def test_scenario_17_more_than_f_down_and_back() -> None:
    """Too few to go on; when they return, all meet in one view without a restart of anybody."""
    stage = Stage(7)
    for i, at_ms in ((4, 10), (5, 130), (6, 370)):
        stage.at(at_ms, "crash", i)
    stage.at(20, "crash", 0)
    for k in range(4):
        stage.request(1 + k % 3, 30 + 90 * k)
    stage.until(3_000)
    stuck = stage.heights
    for i, at_ms in ((0, 3_100), (4, 3_350), (5, 3_720), (6, 4_510)):
        stage.at(at_ms, "restart", i)
    stage.until(4_600)

    stage.finish(10_000)

    assert max(stuck) < 4, "without a quorum nothing was decided"
    assert len(set(stage.views)) == 1
