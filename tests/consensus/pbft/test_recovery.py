"""Crash and recovery (TOCS): what must survive, and how one comes back."""

from __future__ import annotations

from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.replica import PbftReplica
from tests.consensus.pbft.conftest import (
    EAGER,
    Bench,
    batch,
    pre_prepare,
    request,
    stable,
    view_change,
)

K = EAGER.checkpoint_interval


def reborn(bench: Bench) -> Bench:
    """The same replica after it has lost its memory: built anew from what was durable."""
    other = Bench(bench.core.id, bench.n)
    fresh = PbftReplica(bench.core.id, bench.n, EAGER)
    fresh.restore(bench.core.durable())
    other.core = fresh
    return other


def test_a_replica_that_comes_back_asks_what_it_missed(bench: Bench) -> None:
    """TOCS: after a restart a replica says what it has."""
    bench.decides_up_to(2)

    effects = bench.restarts()

    assert effects.to_all(m.Status) == [m.Status(0, True, 0, 2)]
    assert ("retry",) in effects.timers


def test_a_vote_survives_a_crash(bench: Bench) -> None:
    """§4.2: one PREPARE per view and number, also from a replica that has crashed in between."""
    first, other = batch(request(3, 1)), batch(request(3, 2))
    bench.hears(0, pre_prepare(1, first))

    back = reborn(bench)
    back.restarts()

    assert back.hears(0, pre_prepare(1, other)).sent(m.Prepare) == []
    assert [v.digest for v in back.hears(2, m.Status(0, True, 0, 0)).to(2, m.Prepare)] == [
        first.digest
    ]


def test_what_was_prepared_survives_a_crash(bench: Bench) -> None:
    """§4.4: a prepared certificate must be in P, or a decision of others could be lost."""
    proposal = batch(request(3))
    bench.prepares(1, proposal)

    back = reborn(bench)
    back.restarts()
    effects = back.hears(2, view_change(2, 1)) + back.hears(3, view_change(3, 1))

    (message,) = effects.to_all(m.ViewChange)
    assert [p.digest for p in message.prepared] == [proposal.digest]
    (started,) = effects.to_all(m.NewView)
    assert [a.digest for a in started.assignments] == [proposal.digest]


def test_a_view_that_was_left_stays_left(bench: Bench) -> None:
    """§4.4: after VIEW-CHANGE no vote in the old view, also after a crash; and it is repeated."""
    bench.hears(2, m.RequestMessage(request(2)))
    (message,) = bench.fires("request").to_all(m.ViewChange)

    back = reborn(bench)
    effects = back.restarts()

    assert effects.to_all(m.ViewChange) == [message]
    assert back.hears(0, pre_prepare(1, batch(request(3)))).kinds == []


def test_the_stable_checkpoint_survives_a_crash(bench: Bench) -> None:
    """§4.3: the log below h is gone, so h and its proof must not be."""
    bench.decides_up_to(K)
    for i in (0, 2):
        bench.hears(i, *stable(K, bench.core.history, (i,)))

    back = reborn(bench)

    assert (back.core.low, back.core.executed) == (K, K)
    (sent,) = back.hears(3, m.Status(0, True, 0, 0)).to(3, m.StableCheckpoint)
    assert len(sent.proof) == 3


def test_exactly_once_survives_a_crash(bench: Bench) -> None:
    """§4.1: what was executed is known after a restart."""
    wanted = request(3)
    bench.decides(1, batch(wanted))

    back = reborn(bench)
    effects = back.decides(2, batch(wanted, time_us=9))

    assert [b.requests for _, b in effects.decisions] == [()]


def test_a_primary_does_not_use_a_number_twice(primary: Bench) -> None:
    """§4.2: one digest per number, also from a primary that has crashed after proposing."""
    (before,) = primary.proposes(request(0, 1)).to_all(m.PrePrepare)

    back = reborn(primary)
    back.restarts()
    (after,) = back.proposes(request(0, 2)).to_all(m.PrePrepare)

    assert (before.seq, after.seq) == (1, 2)


def test_what_stable_storage_holds_is_a_snapshot(bench: Bench) -> None:
    """TOCS: later steps do not change what was written before the crash."""
    proposal = batch(request(3))
    bench.hears(0, pre_prepare(1, proposal))
    durable = bench.core.durable()

    bench.gets_prepares(1, proposal.digest, 2, 3)
    bench.gets_commits(1, proposal.digest, 0, 2)
    back = PbftReplica(1, 4, EAGER)
    back.restore(durable)

    assert bench.core.executed == 1
    assert back.executed == 0
    assert not back.log[1].prepared
    assert (3, 1) not in back.done
