"""Bugs that PBFT-style systems have had in production: the group here must not have them.

Each test is named after the project and the number of its public issue; the docstring says what
happened there and what must happen here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulation.consensus.pbft import messages as m
from tests.consensus.pbft.conftest import Bench, batch, request
from tests.consensus.pbft.stage import MS, QUICK, Stage


@pytest.mark.parametrize("hub", [1, 2, 3])
def test_fabric_1917_view_changes_seen_by_one_replica_only(hub: int) -> None:
    """Links up through one node only: it saw all VIEW-CHANGEs, the rest two; nothing was resent.

    VIEW-CHANGE is repeated until the view starts, so the group recovers when the links do.
    """
    stage = Stage()
    stage.tap = lambda src, dst, x: 0 if hub in (src, dst) else None
    for i in range(4):
        stage.request(i, 10)
    stage.until(5_000)
    assert stage.heights == [0] * 4
    assert len(stage.on_wire("view-change")) > 3 * 4, "it is being repeated"

    stage.tap = lambda src, dst, x: 0
    stage.finish()

    assert len(stage.orders(0)) == 4


def test_fabric_1120_alone_in_a_higher_view() -> None:
    """A replica that left its view alone could never return.

    It gets every decision from the others, and counts again with the next view change.
    """
    stage = Stage()
    stage.at(0, "cut", -1, 0, 3)
    stage.request(3, 10)
    stage.until(500)
    assert (stage.views, stage.core(3).active) == ([0, 0, 0, 1], False)

    stage.at(500, "heal")
    for k in range(6):
        stage.request(k % 3, 550 + 50 * k)
    stage.finish()
    assert len(stage.orders(3)) == 7
    assert stage.views[:3] == [0, 0, 0], "f replicas do not move the group"

    start_ms = stage.now_us / MS
    stage.at(start_ms, "crash", 0)
    stage.request(1, start_ms + 1)
    stage.until(start_ms + 3_000)
    assert [len(stage.orders(i)) for i in (1, 2, 3)] == [8, 8, 8]
    assert len({stage.core(i).view for i in (1, 2, 3)}) == 1
    assert stage.core(3).active


def test_fabric_796_a_censored_client_is_not_hidden_by_the_others() -> None:
    """The leader left out one client, and the timer was reset by everybody else's requests.

    The timer belongs to the oldest waiting request: progress with others does not restart it.
    """
    bench = Bench(1)
    started = bench.hears(2, m.RequestMessage(request(2, 1, b"censored")))
    assert ("request",) in started.timers

    for seq in range(1, 5):
        effects = bench.decides(seq, batch(request(3, seq), time_us=seq))
        assert ("request",) not in {**effects.timers, **dict.fromkeys(effects.cancelled, 0)}

    assert bench.fires("request").to_all(m.ViewChange) != []


@pytest.mark.parametrize("n", [4, 5, 7, 10])
def test_fabric_1365_one_view_change_and_not_two(n: int) -> None:
    """NEW-VIEW was sometimes not sent; the next view change hid it from tests of the final state.

    One dead leader costs one view: one NEW-VIEW of the next leader, and nobody goes further.
    """
    stage = Stage(n, outsiders=[0])
    stage.at(0, "crash", 0)
    for i in range(1, n):
        stage.request(i, 1)
    stage.until(3_000)

    assert set(stage.views) == {1}
    first = [s for s in stage.on_wire("new-view") if s.time_us == stage.on_wire("new-view")[0][0]]
    assert [(s.src, s.message.view) for s in first] == [(1, 1)] * (n - 1)
    assert {s.message.view for s in stage.on_wire("view-change")} == {1}
    assert len(stage.reported("new-view")) == n - 1


def test_sawtooth_133_the_wait_for_a_view_starts_with_a_quorum() -> None:
    """The timer was started on leaving the old view, so early leavers ran ahead of the rest.

    A replica that has left alone waits for the others, however long it takes.
    """
    stage = Stage()
    stage.at(0, "cut", -1, 0, 3)
    stage.request(3, 0)
    stage.until(60_000)

    assert [h.view for h in stage.reported("view-change")] == [1]
    assert stage.core(3).view == 1


def test_sawtooth_rfc_29_a_leader_that_never_proposes() -> None:
    """Timers started with the first proposal, so a leader that never made any was never caught.

    The request itself starts the timer, at every replica that the client has reached.
    """
    stage = Stage(outsiders=[0])
    stage.tap = lambda src, dst, x: None if src == 0 else 0
    stage.request(2, 0)

    stage.until(2_000)

    assert [stage.orders(i) for i in (1, 2, 3)] == [[(2, 1)]] * 3
    assert set(stage.views) == {1}


def test_minbft_5_a_careless_client_does_not_depose_a_good_leader() -> None:
    """A client that sent to some replicas only, or reused an id, let timers run out.

    Backups relay; a second operation under a known id does not wait for anything.
    """
    bench = Bench(1)
    wanted = request(77)
    relayed = bench.hears(77, m.RequestMessage(wanted))
    bench.hears(77, m.RequestMessage(replace(wanted, payload=b"other")))
    assert relayed.to(0, m.RequestMessage) == [m.RequestMessage(wanted)]

    effects = bench.decides(1, batch(wanted))

    assert ("request",) in effects.cancelled
    assert bench.core.waiting == {}
    late = bench.hears(77, m.RequestMessage(replace(wanted, payload=b"other")))
    assert late == []


def test_bft_smart_51_long_timeouts_are_not_inherited() -> None:
    """Attackers inflated the doubling timeouts; a slow leader then had all that time.

    After a view that has achieved something the wait is T again: the third leader gets no more.
    """
    stage = Stage(7, outsiders=[0, 1])
    stage.at(0, "crash", 0)
    stage.at(0, "crash", 1)
    for i in range(2, 7):
        stage.request(i, 1)
    stage.until(1_500)
    assert set(stage.views) == {2}

    for i in stage.honest:
        assert stage.core(i).timeout_us() == QUICK.request_timeout_ms * MS
    stage.tap = lambda src, dst, x: None if src == 2 and isinstance(x, m.PrePrepare) else 0
    for i in range(3, 7):
        stage.request(i, 1_600)
    stage.until(1_720)
    left = [h for h in stage.reported("view-change") if h.view == 3]
    assert {h.replica for h in left} >= {3, 4, 5, 6}
    assert all(1_700 <= h.time_us / MS <= 1_720 for h in left)


def test_smartbft_274_two_laggards_of_ten_get_everything() -> None:
    """Two correct replicas asked for a view change for hours: fewer than f + 1, and no progress.

    They keep up by what the others tell them, without pulling anybody out of the view.
    """
    stage = Stage(10)
    stage.at(0, "cut", -1, 0, 8, 9)
    stage.request(8, 10)
    stage.request(9, 10)
    stage.until(700)
    assert [stage.core(i).active for i in (8, 9)] == [False, False]

    stage.at(700, "heal")
    for k in range(20):
        stage.request(k % 8, 750 + 60 * k)
    stage.finish()

    assert stage.views[:8] == [0] * 8
    assert len(stage.orders(8)) == len(stage.orders(9)) == 22


def test_hotstuff_106_a_silent_leader_of_seven() -> None:
    """The view change stalled with seven replicas and a silent leader."""
    stage = Stage(7, liars={0: ["silent"]})
    for i in range(1, 7):
        stage.request(i, i)

    stage.finish(1_000)

    assert set(stage.views) == {1}


@pytest.mark.parametrize("back_ms", [150, 600, 1_700, 4_900])
def test_polygon_edge_185_timers_that_have_drifted_apart_meet_again(back_ms: int) -> None:
    """More than a third were down; their rounds advanced at different speeds and never met.

    Whenever they return, all replicas come together in one view and finish the work.
    """
    stage = Stage(7)
    for i, at_ms in ((0, 5), (1, 60), (2, 110), (5, 20)):
        stage.at(at_ms, "crash", i, i % 2)
    for k in range(6):
        stage.request((3, 4, 6)[k % 3], 10 + 37 * k)
    for k, i in enumerate((0, 1, 2, 5)):
        stage.at(200 + back_ms + 90 * k, "restart", i)

    stage.finish(10_000)

    assert len(set(stage.orders(3))) == 6


def test_calimero_3596_a_state_that_is_not_the_promised_one() -> None:
    """A snapshot with another root than promised was logged as such, and then used.

    What fails the check is not executed at all, and is fetched from somebody else.
    """
    stage = Stage(liars={0: ["bad-state-transfer"]}, params=replace(QUICK, transfer_batches=64))
    stage.at(0, "cut", -1, 0, 3)
    for k in range(20):
        stage.request(1 + k % 2, 15 * k)
    stage.until(500)
    stage.at(500, "heal")
    decided: list[int] = []

    def listen(src: int, dst: int, x: Any) -> int | None:
        if any(h.what == "bad-transfer" for h in stage.heard) and not decided:
            decided.append(len(stage.journals[3]))
        return 0

    stage.tap = listen
    stage.finish()

    assert decided == [0]
    assert [b.digest for b in stage.journals[3]] == [b.digest for b in stage.journals[1]]


def test_tigerbeetle_3193_an_ex_primary_does_not_answer_as_primary() -> None:
    """A repeated request was taken up by a replica that was primary no longer.

    It passes the request on, and proposes nothing, neither at once nor between views.
    """
    bench = Bench(0)
    bench.enters(1)

    after = bench.hears(3, m.RequestMessage(request(3)))

    assert after.to(1, m.RequestMessage) == [m.RequestMessage(request(3))]
    assert after.sent(m.PrePrepare) == []

    between = Bench(1)
    between.hears(2, m.RequestMessage(request(2)))
    between.fires("request")
    assert (between.core.leader, between.core.active) == (1, False)
    assert between.hears(3, m.RequestMessage(request(3))).sent(m.PrePrepare) == []
