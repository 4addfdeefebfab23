"""Garbage collection (§4.3): checkpoints, their certificates, and the water marks."""

from __future__ import annotations

import pytest

from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.checkpoint import KEPT_PER_SENDER
from tests.consensus.pbft.conftest import (
    EAGER,
    Bench,
    batch,
    history_of,
    pre_prepare,
    request,
    signer,
    stable,
    state_after,
)

K, L = EAGER.checkpoint_interval, EAGER.window


def votes(bench: Bench, seq: int, *senders: int) -> list[m.Checkpoint]:
    """The CHECKPOINTs that peers with the same history would send."""
    return list(stable(seq, bench.core.history, senders))


def test_every_kth_execution_makes_a_checkpoint(bench: Bench) -> None:
    """§4.3: checkpoints are taken when a number divisible by K is executed, and multicast."""
    sent = [
        (seq, e.to_all(m.Checkpoint))
        for seq in range(1, 2 * K + 1)
        for e in [bench.decides(seq, batch(request(3, seq), time_us=seq))]
    ]

    made = {seq: messages for seq, messages in sent if messages}
    assert sorted(made) == [K, 2 * K]
    (first,) = made[K]
    assert (first.seq, first.state, first.signed_by) == (K, state_after(K), 1)


def test_a_checkpoint_waits_for_the_application(bench: Bench) -> None:
    """§4.3: d is the digest of the *state*, so it is sent once the state has been reached."""
    made = [batch(request(3, seq)) for seq in range(1, K + 1)]
    for seq, proposal in enumerate(made, start=1):
        bench.prepares(seq, proposal)
        effects = bench.gets_commits(seq, proposal.digest, 0, 2)
        assert effects.sent(m.Checkpoint) == []

    (vote,) = bench.executes(K).to_all(m.Checkpoint)

    assert vote.history == history_of(made)


def test_a_quorum_of_equal_checkpoints_is_stable(bench: Bench) -> None:
    """§4.3: 2f + 1 signed CHECKPOINTs with one digest prove the checkpoint correct."""
    bench.decides_up_to(K)
    one, two = votes(bench, K, 0, 2)

    before = bench.hears(0, one)
    effects = bench.hears(2, two)

    assert before.reports == []
    assert effects.reports == ["stable-checkpoint"]
    assert sorted(v.signed_by for v in bench.core.stable_proof) == [0, 1, 2]


def test_one_sender_counts_once(bench: Bench) -> None:
    """§4.3: the CHECKPOINTs of a certificate are from *different* replicas."""
    bench.decides_up_to(K)
    (one,) = votes(bench, K, 2)

    effects = bench.hears(2, one, one, one)

    assert effects.reports == []
    assert bench.core.low == 0


@pytest.mark.parametrize("lie", ["history", "state"])
def test_checkpoints_that_differ_do_not_add_up(lie: str, bench: Bench) -> None:
    """§4.3: the same digest, or they are no proof of it."""
    bench.decides_up_to(K)
    claim = {"history": bench.core.history, "state": state_after(K), lie: bytes(32)}

    for i in (0, 2):
        bench.hears(i, m.checkpoint(signer(i), K, claim["history"], claim["state"]))

    assert bench.core.low == 0
    assert bench.hears(3, *votes(bench, K, 3)).reports == []


def test_a_stable_checkpoint_moves_the_water_marks(bench: Bench) -> None:
    """§4.3: h becomes the number of the last stable checkpoint, and H = h + L."""
    assert (bench.core.low, bench.core.high) == (0, L)
    bench.decides_up_to(K)

    bench.hears(0, *votes(bench, K, 0))
    bench.hears(2, *votes(bench, K, 2))

    assert (bench.core.low, bench.core.high) == (K, K + L)


def test_the_log_is_cut_at_the_stable_checkpoint(bench: Bench) -> None:
    """§4.3: messages with numbers up to that of the checkpoint, and earlier checkpoints, go."""
    made = bench.decides_up_to(K + 1)
    at_k = stable(K, history_of(made[:K]), (0, 2))
    assert set(bench.core.log) == set(range(1, K + 2))

    bench.hears(0, at_k[0])
    bench.hears(2, at_k[1])

    assert set(bench.core.log) == set(bench.core.certificates) == {K + 1}
    assert all(seq > K for sent in bench.core.checkpoints.values() for seq in sent)
    assert [b for _, b in bench.core.bodies.values()] == made[K:]


def test_what_is_below_the_low_mark_is_ignored(bench: Bench) -> None:
    """§4.3: after truncation old messages are not logged again: no vote, no second execution."""
    (old, *_) = bench.decides_up_to(K)
    bench.hears(0, *votes(bench, K, 0))
    bench.hears(2, *votes(bench, K, 2))

    effects = bench.hears(0, pre_prepare(1, old))
    effects += bench.gets_prepares(1, old.digest, 2, 3)
    effects += bench.gets_commits(1, old.digest, 0, 2, 3)

    assert effects == []
    assert set(bench.core.log) == set()


def test_the_primary_stops_at_the_high_mark_until_it_moves() -> None:
    """§4.2, §4.3: no number beyond H is assigned; a stable checkpoint makes room."""
    bench = Bench(0)
    sent: list[m.PrePrepare] = []
    for k in range(1, L + 3):
        effects = bench.hears(3, m.RequestMessage(request(3, k)))
        sent += effects.to_all(m.PrePrepare)
        for p in effects.to_all(m.PrePrepare):
            bench.gets_prepares(p.seq, p.digest, 1, 2)
            bench.gets_commits(p.seq, p.digest, 1, 2)
            bench.executes(p.seq)
    assert [p.seq for p in sent] == list(range(1, L + 1))
    at_k = stable(K, history_of(p.batch for p in sent[:K]), (1, 2))

    effects = bench.hears(1, at_k[0]) + bench.hears(2, at_k[1])

    assert bench.core.low == K
    proposals = effects.to_all(m.PrePrepare)
    assert [p.seq for p in proposals] == [L + 1]
    assert len(proposals[0].batch.requests) == 2, "they have gathered meanwhile"


def test_messages_just_beyond_the_window_are_kept_for_later(bench: Bench) -> None:
    """§4.3 with deviation 7: a slow replica sets aside what others, ahead, already send."""
    bench.decides_up_to(K)
    early = batch(request(3, 99))
    assert bench.hears(0, pre_prepare(L + 1, early)).kinds == []

    bench.hears(0, *votes(bench, K, 0))
    effects = bench.hears(2, *votes(bench, K, 2))

    (vote,) = effects.to_all(m.Prepare)
    assert (vote.seq, vote.digest) == (L + 1, early.digest)


def test_a_quorum_ahead_of_this_replica_does_not_move_its_marks(bench: Bench) -> None:
    """§4.3 with deviation 6: the log may be cut only behind what is executed here."""
    bench.decides_up_to(1)
    for i in (0, 2, 3):
        bench.hears(i, *stable(K, bytes(32), (i,)))

    assert bench.core.low == 0
    assert set(bench.core.log) == {1}
    assert bench.core.target[0].seq == K


@pytest.mark.parametrize("seq", [K - 1, K + 1, 0, -K])
def test_numbers_that_are_no_checkpoint_are_ignored(seq: int, bench: Bench) -> None:
    """§4.3: only numbers divisible by K, above the last stable one."""
    bench.decides_up_to(K + 1)

    for i in (0, 2, 3):
        assert bench.hears(i, *stable(seq, bytes(32), (i,))) == []

    assert bench.core.low == 0


def test_two_checkpoints_of_one_sender_are_evidence(bench: Bench) -> None:
    """§4.3: a correct replica has one state after n; two claims convict their sender."""
    bench.decides_up_to(K)
    (truth,) = votes(bench, K, 2)
    lie = m.checkpoint(signer(2), K, bytes(32), state_after(K))

    effects = bench.hears(2, lie) + bench.hears(2, truth)

    assert effects.reports == ["equivocation"]
    assert set(bench.core.evidence) == {2}


def test_a_liar_cannot_fill_the_memory_with_checkpoints(bench: Bench) -> None:
    """§4.3: what is kept is bounded: the newest few of each sender."""
    for k in range(1, 50):
        bench.hears(2, *stable(k * K, bytes(32), (2,)))

    assert len(bench.core.checkpoints[2]) == KEPT_PER_SENDER


def test_checkpoints_count_also_during_a_view_change(bench: Bench) -> None:
    """§4.3, §4.4: CHECKPOINT is one of the messages that a replica between views still takes."""
    bench.decides_up_to(K)
    bench.proposes(request(1))
    bench.fires("request")
    assert not bench.core.active

    bench.hears(0, *votes(bench, K, 0))
    effects = bench.hears(2, *votes(bench, K, 2))

    assert effects.reports == ["stable-checkpoint"]
