"""Lost messages (TOCS, message retransmission): who stands still says so, and others help."""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.pbft import messages as m
from tests.consensus.pbft.conftest import (
    EAGER,
    Bench,
    batch,
    new_view,
    pre_prepare,
    prepared_proof,
    request,
    stable,
    view_change,
)

K = EAGER.checkpoint_interval
NOTHING = m.Status(0, True, 0, 0)
"""What a replica says that has just started."""


def test_a_replica_that_stands_still_says_what_it_has(bench: Bench) -> None:
    """TOCS: STATUS names the view, the stable checkpoint and the last number executed."""
    bench.decides_up_to(1)
    bench.hears(2, m.RequestMessage(request(2)))
    bench.fires("retry")

    effects = bench.fires("retry")

    assert effects.to_all(m.Status) == [m.Status(0, True, 0, 1)]


def test_while_work_goes_on_nothing_is_repeated(bench: Bench) -> None:
    """TOCS: no retransmission without need: progress since the last look means silence."""
    bench.decides_up_to(1)
    bench.hears(2, m.RequestMessage(request(2)))
    bench.fires("retry")
    bench.decides_up_to(2)

    assert bench.fires("retry").kinds == []


def test_a_replica_without_work_is_silent(bench: Bench) -> None:
    """TOCS: a replica that waits for nothing does not ask, and its timer rests."""
    bench.decides_up_to(1)

    effects = bench.fires("retry")

    assert effects.kinds == []
    assert effects.timers == {}


def test_questions_become_rarer(bench: Bench) -> None:
    """TOCS: repetitions back off, within a bound."""
    bench.hears(2, m.RequestMessage(request(2)))

    delays = [bench.fires("retry").timers[("retry",)] for _ in range(5)]

    assert delays == [6_000_000, 12_000_000, 24_000_000, 24_000_000, 24_000_000]


def test_the_answer_is_what_the_asker_lacks(bench: Bench) -> None:
    """TOCS: missing decisions are sent with their commit certificates, and only those."""
    made = bench.decides_up_to(3)

    effects = bench.hears(2, replace(NOTHING, executed=1))

    sent = effects.to(2, m.Committed)
    assert [(c.seq, c.batch) for c in sent] == [(2, made[1]), (3, made[2])]
    assert all(len({v.signed_by for v in c.commits}) == 3 for c in sent)
    assert set(effects.kinds) == {"committed"}


def test_for_undecided_numbers_own_messages_are_repeated(bench: Bench) -> None:
    """TOCS: a replica repeats its own votes, never those of others."""
    proposal = batch(request(3))
    bench.prepares(1, proposal)

    effects = bench.hears(2, NOTHING)

    assert effects.kinds == ["prepare", "commit"]
    assert {v.signed_by for v in (*effects.sent(m.Prepare), *effects.sent(m.Commit))} == {1}


def test_the_primary_repeats_its_proposal(primary: Bench) -> None:
    """TOCS: a PRE-PREPARE that was lost comes again from the primary."""
    (proposal,) = primary.proposes(request(0)).to_all(m.PrePrepare)

    assert primary.hears(2, NOTHING).to(2, m.PrePrepare) == [proposal]


def test_one_behind_the_checkpoint_gets_its_certificate(bench: Bench) -> None:
    """TOCS: messages below the stable checkpoint are gone; its proof tells what to fetch."""
    bench.decides_up_to(K)
    for i in (0, 2):
        bench.hears(i, *stable(K, bench.core.history, (i,)))

    effects = bench.hears(3, NOTHING)

    (sent,) = effects.to(3, m.StableCheckpoint)
    assert {v.signed_by for v in sent.proof} == {0, 1, 2}
    assert effects.sent(m.Committed) == []


def test_the_initial_state_needs_no_certificate(bench: Bench) -> None:
    """§4.3: at h = 0 there is no proof to send, not even to one that claims to be below."""
    assert bench.hears(3, replace(NOTHING, low=-1, executed=-1)) == []


def test_one_in_an_older_view_gets_the_new_view(bench: Bench) -> None:
    """TOCS: NEW-VIEW is repeated for those that are not in the view."""
    bench.enters(2)

    (sent,) = bench.hears(3, NOTHING).to(3, m.NewView)

    assert sent == bench.core.new_view_message
    assert sent.view == 2


def test_one_between_views_gets_the_own_view_change(bench: Bench) -> None:
    """TOCS: VIEW-CHANGE is repeated for those that may have missed it."""
    bench.hears(2, view_change(2, 1))
    bench.hears(2, m.RequestMessage(request(2)))
    bench.fires("request")
    assert not bench.core.active

    (sent,) = bench.hears(3, NOTHING).to(3, m.ViewChange)

    assert (sent.view, sent.signed_by) == (1, 1)


def test_who_is_behind_the_asker_asks_back(bench: Bench) -> None:
    """TOCS: STATUS works both ways."""
    ahead = m.Status(0, True, 0, 5)

    assert bench.hears(2, ahead).to(2, m.Status) == [NOTHING]
    assert bench.hears(2, NOTHING) == []


def test_a_lost_batch_is_asked_for_again() -> None:
    """TOCS: so are batches that a NEW-VIEW named."""
    digest = batch(request(3)).digest
    bench = Bench(2)
    votes = [view_change(i, 1, prepared_proof(1, digest)) for i in (0, 1, 3)]
    bench.hears(1, new_view(1, votes, (1, digest)))
    bench.fires("retry")

    assert bench.fires("retry").to_all(m.FetchBatch) == [m.FetchBatch(digest)]


def test_a_heartbeat_tells_an_idle_replica_what_it_missed() -> None:
    """TOCS: STATUS is also sent from time to time, or an idle replica would never find out."""
    bench = Bench(1, 4, replace(EAGER, heartbeat_ms=50.0))
    started = bench.hears(0, pre_prepare(1, batch(request(3))))

    effects = bench.fires("heartbeat")

    assert started.timers[("heartbeat",)] == 50_000
    assert effects.to_all(m.Status) == [NOTHING]
    assert effects.timers[("heartbeat",)] == 50_000
