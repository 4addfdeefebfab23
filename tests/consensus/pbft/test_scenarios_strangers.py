"""Scenarios 20 to 22, 24 and 27: clients that lie, strangers, other group sizes, too many liars."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulation.consensus import invariants
from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import (
    Batch,
    Decide,
    Effect,
    Receive,
    Request,
)
from simulation.consensus.quorum import byzantine_quorum
from tests.consensus.pbft.conftest import Bench, batch, pre_prepare, request, signer
from tests.consensus.pbft.stage import QUICK, Stage

CLIENT = 77
"""A client that is no replica."""


def outside(stage: Stage, wanted: Request, *receivers: int) -> None:
    """An outside client sends a request to some replicas."""
    for dst in receivers:
        stage.hand(dst, wanted.client, m.RequestMessage(wanted))


# ---- clients ------------------------------------------------------------------------------------


def test_scenario_20_one_timestamp_two_operations() -> None:
    """A client asks different replicas for different things under one timestamp: one is done."""
    stage = Stage()
    one, other = request(CLIENT, 1, b"pay 10"), request(CLIENT, 1, b"pay 1000")
    stage.observer.on_submit(one)

    outside(stage, one, 0)
    outside(stage, other, 2, 3)
    stage.until(1_000)

    assert [stage.orders(i) for i in range(4)] == [[(CLIENT, 1)]] * 4
    assert stage.decided_at(1).requests == (one,)
    assert stage.reported("view-change") == [], "the primary has done nothing wrong"
    assert all(stage.core(i).waiting == {} for i in range(4))
    stage.check()


@pytest.mark.parametrize("receivers", [(1,), (3,), (1, 2), (0,)])
def test_scenario_20_a_request_to_some_replicas_only(receivers: tuple[int, ...]) -> None:
    """Backups relay it, so their timers do not run out while the primary knows nothing."""
    stage = Stage()
    wanted = request(CLIENT)
    stage.observer.on_submit(wanted)

    outside(stage, wanted, *receivers)
    stage.until(1_000)

    assert stage.heights == [1] * 4
    assert stage.reported("view-change") == []


def test_scenario_20_a_flood() -> None:
    """A thousand requests of one client, each sent to all: the others are served meanwhile."""
    stage = Stage(params=replace(QUICK, batch_max_requests=200, request_timeout_ms=500.0))
    for k in range(1, 1_001):
        wanted = request(CLIENT, k)
        stage.observer.on_submit(wanted)
        outside(stage, wanted, 0, 1, 2, 3)
    stage.request(2)

    stage.finish()

    assert stage.orders(0).count((2, 1)) == 1
    assert len(stage.orders(0)) == 1_001
    assert stage.reported("view-change") == []


def test_scenario_20_replays_of_old_requests() -> None:
    """What was executed is not ordered again, whoever sends it to whom."""
    stage = Stage()
    wanted = request(CLIENT)
    stage.observer.on_submit(wanted)
    outside(stage, wanted, 0)
    stage.until(50)
    before = len(stage.wire)

    for _ in range(10):
        outside(stage, wanted, 0, 1, 2, 3)
    stage.until(1_000)

    assert stage.heights == [1] * 4
    new = {s.message.kind for s in stage.wire[before:]}
    assert new <= {"status"}, "heartbeats only"


def test_scenario_21_a_client_that_hears_nothing_asks_again() -> None:
    """Decided but not heard of: repetitions order nothing new, and the result comes at last."""
    stage = Stage()
    stage.tap = lambda src, dst, x: None if dst == 2 else 0
    stage.request(2, 0)
    stage.until(3_000)
    repeated = {s.time_us for s in stage.on_wire("request", 2)}
    assert len(repeated) >= 3
    assert stage.heights == [1, 1, 0, 1]

    stage.tap = lambda src, dst, x: 0
    stage.finish()

    assert stage.heights == [1] * 4
    assert len(stage.on_wire("pre-prepare", 0)) == 3, "one proposal to three backups"


# ---- strangers and nonsense ---------------------------------------------------------------------


def nonsense(digest: bytes, proposal: Batch) -> list[tuple[int, Any]]:
    """Votes of strangers, for other numbers, without signatures, of no sense: sender, message."""
    odd = Batch((Request(-1, -1, b""),), -1, -1, -1)
    out: list[tuple[int, Any]] = []
    for make in (m.prepare, m.commit):
        out += [(i, make(signer(i), 0, 1, digest)) for i in (4, 99, -1)]
        out += [(2, make(signer(i), 0, 1, digest)) for i in (3, 4, -1)]
        out += [(i, make(signer(i), 0, seq, digest)) for i in (2, 3) for seq in (-1, 0, 9, 2**70)]
        out += [(i, make(signer(i), view, 1, digest)) for i in (2, 3) for view in (-1, 1, 2**70)]
        out += [(i, make(signer(i), 0, 1, d)) for i in (4, 5) for d in (b"", b"short", bytes(32))]
    out += [(2, m.Prepare(0, 1, digest)), (3, m.Commit(0, 1, digest))]
    out += [(0, m.pre_prepare(signer(0), 0, seq, proposal)) for seq in (-1, 0, 2**70)]
    out += [(0, m.PrePrepare(0, 2, digest, odd, signer(0).sign(("pre-prepare", 0, 2, digest))))]
    out += [(2, m.BatchBody(odd)), (2, m.State(-5, (odd,))), (2, m.FetchState(-9, 2**70))]
    out += [(2, m.Committed(1, odd, ())), (2, m.StableCheckpoint(())), (2, m.FetchBatch(b""))]
    out += [(2, m.checkpoint(signer(2), seq, b"", b"")) for seq in (-4, 0, 3)]
    return out


def test_scenario_22_votes_that_do_not_count() -> None:
    """Strangers, other heights, bad signatures, malformed: as if they had never come."""
    proposal = batch(request(3))
    with_them, without = Bench(1), Bench(1)
    for bench in (with_them, without):
        bench.hears(0, pre_prepare(1, proposal))

    effects: list[Effect[Any]] = []
    for sender, message in nonsense(proposal.digest, proposal):
        effects += with_them.step(Receive(sender, message))

    assert not [e for e in effects if isinstance(e, Decide)]
    sent = [getattr(e, "message", None) for e in effects]
    assert not [x for x in sent if isinstance(x, (m.Prepare, m.Commit, m.ViewChange))]
    for bench in (with_them, without):
        assert bench.gets_prepares(1, proposal.digest, 2).kinds == ["commit"]
        assert bench.gets_commits(1, proposal.digest, 0, 3).decisions == [(1, proposal)]


# ---- group sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 6, 8, 11, 32])
def test_scenario_24_groups_that_are_not_3f_plus_1(n: int) -> None:
    """With f silent the rest decides; with so many silent that no quorum is left, nobody does."""
    quorum = byzantine_quorum(n)
    assert 2 * quorum.size - n > quorum.f
    patient = replace(QUICK, request_timeout_ms=5_000.0)
    for silent in (quorum.f, n - quorum.size, n - quorum.size + 1):
        stage = Stage(n, params=patient, outsiders=range(n - silent, n))
        for i in range(n - silent, n):
            stage.at(0, "crash", i)
        stage.request(1, 1)
        stage.until(100)

        assert set(stage.heights) == {1 if silent <= n - quorum.size else 0}
        stage.check()


# ---- more than f --------------------------------------------------------------------------------


def test_scenario_27_f_plus_1_silent() -> None:
    """One fault too many stops everything, and the report says who waits for what."""
    stage = Stage(liars={2: ["silent"], 3: ["silent"]})
    stage.request(1, 0)
    stage.until(10_000)

    assert stage.heights == [0, 0]
    assert not stage.is_done()
    report = stage.waiting_report()
    assert "replica 1: decided 0" in report
    assert "own requests open: 1/1" in report
    assert "active False" in report, "they have asked for a new view, in vain"


def test_scenario_27_f_plus_1_colluders_are_convicted_by_the_fork() -> None:
    """Two decisions at one number: their certificates name those who signed both."""
    liars = {0: ["split-evenly", "vote-to-each"], 3: ["split-evenly", "vote-to-each"]}
    stage = Stage(liars=liars)
    stage.observer = invariants.observe(4, frozenset({1, 2}), None)
    stage.request(1, 0)
    stage.request(2, 0)
    stage.until(1_000)

    (violation, *_) = stage.observer.violations
    assert violation.property == "agreement"
    one, other = (stage.core(i).certificates for i in (1, 2))
    seq = next(s for s in sorted(one) if s in other and one[s][0].digest != other[s][0].digest)
    signers = [{v.signed_by for v in certificates[seq][1]} for certificates in (one, other)]
    views = [{v.view for v in certificates[seq][1]} for certificates in (one, other)]
    assert views[0] == views[1], "in one view, so nobody can say that the views differed"
    assert signers[0] & signers[1] == {0, 3}
