"""State transfer (§4.4, last paragraph; TOCS, checkpoint management): catching up, with proof."""

from __future__ import annotations

from dataclasses import replace

from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import Batch, Load
from tests.consensus.pbft.conftest import (
    EAGER,
    Bench,
    batch,
    history_of,
    pre_prepare,
    request,
    signer,
    stable,
)

K, L = EAGER.checkpoint_interval, EAGER.window
FAR = L + K
"""A checkpoint that a replica in its first window cannot reach by votes."""
MADE = [batch(request(9, k), time_us=k) for k in range(1, FAR + 1)]
CERTIFICATE = stable(FAR, history_of(MADE), (0, 2, 3))


def behind() -> tuple[Bench, int]:
    """A replica that has just learnt of a checkpoint far ahead, and whom it asks."""
    bench = Bench(1)
    effects = bench.hears(0, m.StableCheckpoint(CERTIFICATE))
    (source,) = [i for i in (0, 2, 3) if effects.to(i, m.FetchState)]
    assert effects.to(source, m.FetchState) == [m.FetchState(1, FAR)]
    return bench, source


def test_a_certificate_far_ahead_starts_the_transfer(bench: Bench) -> None:
    """§4.3, TOCS: others have cut their logs, so what this one missed comes as state."""
    effects = [bench.hears(i, *stable(FAR, history_of(MADE), (i,))) for i in (0, 2, 3)]

    assert [e.kinds for e in effects] == [[], [], ["fetch-state"]]
    assert ("fetch",) in effects[2].timers


def test_within_the_window_the_votes_are_waited_for(bench: Bench) -> None:
    """§4.3: a replica a little behind will get there by itself; it asks when it does not."""
    made = MADE[:K]
    effects = [bench.hears(i, *stable(K, history_of(made), (i,))) for i in (0, 2, 3)]
    assert all(e.kinds == [] for e in effects)

    asked = bench.fires("fetch")

    assert asked.sent(m.FetchState) == [m.FetchState(1, K)]


def test_no_transfer_when_the_votes_arrive_in_time(bench: Bench) -> None:
    """§4.3: having executed up to the checkpoint, the replica makes it its own."""
    made = MADE[:K]
    for i in (0, 2, 3):
        bench.hears(i, *stable(K, history_of(made), (i,)))
    for seq, proposal in enumerate(made, start=1):
        bench.decides(seq, proposal)

    effects = bench.fires("fetch")

    assert effects.sent(m.FetchState) == []
    assert bench.core.low == K


def test_transferred_batches_are_executed_in_order() -> None:
    """TOCS: the state up to the checkpoint is adopted, and the checkpoint with it."""
    bench, source = behind()

    effects = bench.hears(source, m.State(1, tuple(MADE)))

    assert effects.decisions == list(enumerate(MADE, start=1))
    assert effects.reports == ["state-transfer", "stable-checkpoint"]
    assert (bench.core.low, bench.core.high) == (FAR, FAR + L)
    assert ("fetch",) in effects.cancelled


def test_state_comes_in_pieces() -> None:
    """TOCS: transfer in parts of bounded size; nothing runs before the whole has been checked."""
    bench, source = behind()

    first = bench.hears(source, m.State(1, tuple(MADE[:5])))
    second = bench.hears(source, m.State(6, tuple(MADE[5:])))

    assert first.decisions == []
    assert first.to(source, m.FetchState) == [m.FetchState(6, FAR)]
    assert len(second.decisions) == FAR


def test_state_that_does_not_match_the_certificate_is_refused() -> None:
    """TOCS: what arrives is checked against the certified digest; a liar costs time only."""
    for spoil in (
        [replace(MADE[0], time_us=77), *MADE[1:]],
        [*MADE[:-1], replace(MADE[-1], requests=())],
        [MADE[1], MADE[0], *MADE[2:]],
        [batch(request(9, 666)), *MADE[1:]],
    ):
        bench, source = behind()

        effects = bench.hears(source, m.State(1, tuple(spoil)))

        assert effects.decisions == []
        assert effects.reports == ["bad-transfer"]
        assert bench.core.executed == 0
        (other,) = [i for i in (0, 2, 3) if effects.to(i, m.FetchState)]
        assert other != source, "the next source is asked"
        assert len(bench.hears(other, m.State(1, tuple(MADE))).decisions) == FAR


def test_only_the_replica_that_was_asked_may_answer() -> None:
    """TOCS: unasked answers are not even looked at."""
    bench, source = behind()
    stranger = next(i for i in (0, 2, 3) if i != source)

    assert bench.hears(stranger, m.State(1, tuple(MADE))) == []
    assert Bench(1).hears(0, m.State(1, tuple(MADE))) == []


def test_more_than_was_asked_for_is_cut_off() -> None:
    """TOCS: only what the certificate covers is adopted."""
    bench, source = behind()
    extra = batch(request(9, 999))

    effects = bench.hears(source, m.State(1, (*MADE, extra)))

    assert len(effects.decisions) == FAR


def test_a_source_that_does_not_answer_is_replaced() -> None:
    """TOCS: a source is asked again, as the answer may be lost, then another one is."""
    bench, source = behind()
    asked = [source]
    for _ in range(8):
        effects = bench.fires("fetch")
        asked += [i for i in (0, 2, 3) if effects.to(i, m.FetchState)]

    assert len(asked) == 9, "one question each time"
    assert set(asked) == {0, 2, 3}
    assert asked[:2] == [source, source]


def test_a_certificate_of_too_few_starts_nothing(bench: Bench) -> None:
    """§4.3: a stable checkpoint has 2f + 1 signers; fewer may all be liars or behind."""
    two = CERTIFICATE[:2]
    for proof in ((), two, (*two, two[0]), (*two, *stable(FAR, bytes(32), (3,)))):
        assert bench.hears(3, m.StableCheckpoint(proof)) == []


def test_a_replica_that_has_the_batches_reads_them_from_its_journal(bench: Bench) -> None:
    """TOCS: any replica may be the source; its host's journal has what its log no longer has."""
    bench.decides_up_to(3)

    (asked,) = bench.hears(2, m.FetchState(1, 3))
    assert isinstance(asked, Load)
    answer = bench.loads(1, MADE[:3], asked.token)

    assert (asked.first, asked.last) == (1, 3)
    assert answer.to(2, m.State) == [m.State(1, tuple(MADE[:3]))]


def test_a_source_sends_no_more_than_it_has_or_may() -> None:
    """TOCS: pieces are bounded, and nothing undecided is sent."""
    bench = Bench(1, params=replace(EAGER, transfer_batches=2))
    bench.decides_up_to(3)

    loads = [
        [(e.first, e.last) for e in bench.hears(2, question) if isinstance(e, Load)]
        for question in (m.FetchState(1, 99), m.FetchState(3, 99), m.FetchState(4, 99))
    ]
    odd = [bench.hears(2, m.FetchState(first, 9)) for first in (0, -3)]

    assert loads == [[(1, 2)], [(3, 3)], []]
    assert odd == [[], []]


# ---- single decisions with their certificates ---------------------------------------------------


def commits(seq: int, decided: Batch, *senders: int, view: int = 0) -> tuple[m.Commit, ...]:
    return tuple(m.commit(signer(i), view, seq, decided.digest) for i in senders)


def test_a_commit_certificate_decides(bench: Bench) -> None:
    """§4.2: 2f + 1 COMMITs are as good a proof for one that missed them as for who saw them."""
    effects = bench.hears(3, m.Committed(1, MADE[0], commits(1, MADE[0], 0, 2, 3)))

    assert effects.decisions == [(1, MADE[0])]


def test_certificates_wait_for_their_predecessors(bench: Bench) -> None:
    """§4.2: execution stays in order however decisions arrive."""
    second = bench.hears(3, m.Committed(2, MADE[1], commits(2, MADE[1], 0, 2, 3)))
    first = bench.hears(3, m.Committed(1, MADE[0], commits(1, MADE[0], 0, 2, 3)))

    assert second.decisions == []
    assert first.decisions == [(1, MADE[0]), (2, MADE[1])]


def test_a_primary_goes_on_after_decisions_that_it_was_told_of(primary: Bench) -> None:
    """§4.2: a number that is taken is not assigned again, by whomever it was decided."""
    primary.hears(3, m.Committed(1, MADE[0], commits(1, MADE[0], 1, 2, 3)))

    (proposal,) = primary.proposes(request(0)).to_all(m.PrePrepare)

    assert proposal.seq == 2


def test_a_certificate_must_be_one(bench: Bench) -> None:
    """§4.2: a quorum of different signers, all for this view, number and batch."""
    one, two = MADE[0], MADE[1]
    for lie in (
        m.Committed(1, one, ()),
        m.Committed(1, one, commits(1, one, 0, 2)),
        m.Committed(1, one, commits(1, one, 0, 2, 2)),
        m.Committed(1, one, commits(1, one, 0, 2, 9)),
        m.Committed(1, one, commits(1, one, 0, 2, -1)),
        m.Committed(1, two, commits(1, one, 0, 2, 3)),
        m.Committed(1, one, commits(2, one, 0, 2, 3)),
        m.Committed(1, one, (*commits(1, one, 0, 2), *commits(1, one, 3, view=1))),
        m.Committed(1, one, (*commits(1, one, 0, 2), m.Commit(0, 1, one.digest))),
        m.Committed(L + 1, one, commits(L + 1, one, 0, 2, 3)),
    ):
        assert bench.hears(3, lie) == []


def test_a_transfer_overtakes_what_was_under_way() -> None:
    """§4.3: numbers at or below the new low mark are finished, whatever their votes."""
    bench = Bench(1)
    bench.hears(0, pre_prepare(1, MADE[0]))
    effects = bench.hears(0, m.StableCheckpoint(CERTIFICATE))
    (source,) = [i for i in (0, 2, 3) if effects.to(i, m.FetchState)]
    bench.hears(source, m.State(1, tuple(MADE)))

    late = bench.gets_prepares(1, MADE[0].digest, 2, 3)

    assert late == []
    assert bench.core.log == {}
