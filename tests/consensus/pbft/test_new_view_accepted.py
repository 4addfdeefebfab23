"""NEW-VIEW at the backups (§4.4, §4.5.1): who believes it, and what survives it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import NULL_BATCH
from tests.consensus.pbft.conftest import (
    EAGER,
    Bench,
    batch,
    history_of,
    new_view,
    pre_prepare,
    prepared_proof,
    request,
    signer,
    stable,
    view_change,
)

K = EAGER.checkpoint_interval
NULL = NULL_BATCH.digest
A, B, C = (batch(request(3, k)) for k in (1, 2, 3))


# ---- the backups --------------------------------------------------------------------------------


def at_backup(bench: Bench, message: m.NewView) -> list[m.Prepare]:
    """What backup 2 answers to replica 1."""
    return bench.hears(1, message).to_all(m.Prepare)


def test_a_backup_prepares_every_element_of_o() -> None:
    """§4.4: it multicasts a PREPARE for each message in O, and is in view v + 1."""
    bench = Bench(2)
    bench.prepares(1, A)
    votes = [view_change(0, 1, prepared_proof(1, A.digest)), view_change(1, 1), view_change(3, 1)]

    sent = at_backup(bench, new_view(1, votes, (1, A.digest)))

    assert [(p.view, p.seq, p.digest) for p in sent] == [(1, 1, A.digest)]
    assert (bench.core.view, bench.core.active) == (1, True)


def test_an_executed_request_is_agreed_again_but_not_executed_again() -> None:
    """§4.4: replicas redo the protocol for numbers above min-s without executing them twice."""
    bench = Bench(2)
    bench.decides(1, A)
    votes = [view_change(i, 1, prepared_proof(1, A.digest)) for i in (0, 1, 3)]

    effects = bench.hears(1, new_view(1, votes, (1, A.digest)))
    effects += bench.gets_prepares(1, A.digest, 0, 3, view=1)
    effects += bench.gets_commits(1, A.digest, 0, 1, 3, view=1)

    assert effects.kinds[:2] == ["prepare", "commit"]
    assert effects.decisions == []


def test_a_null_request_is_executed_as_nothing() -> None:
    """§4.4: a null request goes through the protocol like any other and does nothing."""
    bench = Bench(2)
    bench.hears(0, pre_prepare(2, A))
    votes = [view_change(0, 1, prepared_proof(2, A.digest)), view_change(1, 1), view_change(3, 1)]
    bench.hears(1, new_view(1, votes, (1, NULL), (2, A.digest)))

    effects = bench.gets_prepares(1, NULL, 0, 3, view=1) + bench.gets_commits(
        1, NULL, 0, 1, 3, view=1
    )

    assert effects.decisions == [(1, NULL_BATCH)]
    assert NULL_BATCH.requests == ()


def bad_new_views() -> dict[str, m.NewView]:
    """By what is wrong with them: NEW-VIEWs for view 1. A is prepared at one replica of V."""
    proof = prepared_proof(1, A.digest)
    v = [view_change(0, 1, proof), view_change(1, 1), view_change(3, 1)]
    forged = view_change(0, 1, prepared_proof(1, B.digest, backups=(1,)))
    good = new_view(1, v, (1, A.digest))
    foreign = (replace(good.assignments[0], signature=signer(3).sign(("pre-prepare", 1, 1))),)
    resigned = ("new-view", 1, good.view_changes, foreign)
    return {
        "V too small": new_view(1, v[:2], (1, A.digest)),
        "V with one replica twice": new_view(1, [*v[:2], v[0]], (1, A.digest)),
        "V without anything": new_view(1, []),
        "V for another view": new_view(1, [v[0], v[1], view_change(3, 2)], (1, A.digest)),
        "V with a forged certificate": new_view(1, [forged, *v[1:]], (1, B.digest)),
        "O leaves out what was prepared": new_view(1, v),
        "O replaces it by nothing": new_view(1, v, (1, NULL)),
        "O replaces it by something": new_view(1, v, (1, B.digest)),
        "O adds something": new_view(1, v, (1, A.digest), (2, B.digest)),
        "O shifts it": new_view(1, v, (2, A.digest)),
        "O repeats it": new_view(1, v, (1, A.digest), (1, A.digest)),
        "O signed by another": m.NewView(1, good.view_changes, foreign, signer(1).sign(resigned)),
    }


@pytest.mark.parametrize("what", list(bad_new_views()))
def test_a_new_view_that_proves_nothing_is_refused(what: str) -> None:
    """§4.4: a backup checks V, works out O by itself, and compares."""
    bench = Bench(2)
    bench.prepares(1, A)

    effects = bench.hears(1, bad_new_views()[what])

    assert effects.reports == ["bad-new-view"]
    assert effects.kinds == []
    assert bench.core.view == 0


@pytest.mark.parametrize("author", [0, 2, 3])
def test_a_new_view_of_anybody_else_is_ignored(author: int) -> None:
    """§4.4: it must be signed by the primary of the view that it starts."""
    bench = Bench(2)
    votes = tuple(view_change(i, 1) for i in (0, 1, 3))

    assert bench.hears(author, m.new_view(signer(author), 1, votes, ())) == []
    assert bench.core.view == 0


def test_anybody_may_pass_a_new_view_on() -> None:
    """§4.4: it proves itself, so a replica that missed it may get it from any other."""
    bench = Bench(2)
    votes = [view_change(i, 1) for i in (0, 1, 3)]

    bench.hears(3, new_view(1, votes))

    assert (bench.core.view, bench.core.active) == (1, True)


def test_a_view_that_was_left_does_not_come_back(bench: Bench) -> None:
    """§4.4: views only grow."""
    bench.enters(3)

    effects = bench.enters(2)

    assert effects == []
    assert bench.core.view == 3


def test_numbers_that_o_assigns_are_closed_for_other_proposals() -> None:
    """§4.4 with deviation 9: in the new view the primary may not propose again what O has."""
    bench = Bench(2)
    votes = [view_change(0, 1, prepared_proof(2, A.digest)), view_change(1, 1), view_change(3, 1)]
    bench.hears(1, new_view(1, votes, (1, NULL), (2, A.digest)))
    other = batch(request(3, 9), view=1)

    assert [bench.hears(1, pre_prepare(seq, other)).kinds for seq in (1, 2)] == [[], []]
    assert bench.hears(1, pre_prepare(3, other)).kinds == ["prepare"]


def test_messages_of_the_new_view_may_come_before_it() -> None:
    """§4.4: a replica that enters the view late has kept what others sent in it."""
    bench = Bench(2)
    proposal = batch(request(3, 9), view=1)
    early = bench.hears(1, pre_prepare(1, proposal))
    early += bench.gets_prepares(1, proposal.digest, 0, 3, view=1)

    effects = bench.hears(1, new_view(1, [view_change(i, 1) for i in (0, 1, 3)]))

    assert early.kinds == []
    assert effects.kinds == ["prepare", "commit"]


def test_a_missing_batch_is_fetched_by_its_digest() -> None:
    """§4.4: O has digests only; a replica that lacks a request obtains it from another one."""
    bench = Bench(2)
    votes = [view_change(0, 1, prepared_proof(1, A.digest)), view_change(1, 1), view_change(3, 1)]

    asked = bench.hears(1, new_view(1, votes, (1, A.digest)))
    wrong = bench.hears(3, m.BatchBody(B))
    right = bench.hears(3, m.BatchBody(A))

    assert asked.to_all(m.FetchBatch) == [m.FetchBatch(A.digest)]
    assert asked.sent(m.Prepare) == wrong.sent(m.Prepare) == []
    assert [p.digest for p in right.to_all(m.Prepare)] == [A.digest]


def test_a_replica_that_has_the_batch_answers(bench: Bench) -> None:
    """§4.4: the request is found at whoever logged its PRE-PREPARE."""
    bench.hears(0, pre_prepare(1, A))

    assert bench.hears(3, m.FetchBatch(A.digest)).to(3, m.BatchBody) == [m.BatchBody(A)]
    assert bench.hears(3, m.FetchBatch(B.digest)) == []


def test_a_replica_behind_the_checkpoint_of_v_fetches_the_state() -> None:
    """§4.4: a replica that lacks the checkpoint min-s obtains it before it goes on."""
    bench = Bench(2)
    made = [batch(request(9, k)) for k in range(1, K + 1)]
    proof = stable(K, history_of(made), (0, 1, 3))
    votes = [view_change(i, 1, low=K, proof=proof) for i in (0, 1, 3)]

    effects = bench.hears(1, new_view(1, votes))

    assert effects.sent(m.FetchState) == [m.FetchState(1, K)]
    assert (bench.core.view, bench.core.active) == (1, True)


# ---- safety across views (§4.5.1) ---------------------------------------------------------------


@pytest.mark.parametrize("absent", [0, 1, 2, 3])
def test_what_one_replica_executed_survives_any_quorum(absent: int) -> None:
    """§4.5.1: 2f + 1 have prepared what one has committed, so every quorum V names it."""
    cores = [Bench(i) for i in range(4)]
    for bench in cores[1:]:
        bench.prepares(1, A)
    cores[0].hears(3, m.RequestMessage(A.requests[0]))
    cores[0].gets_prepares(1, A.digest, 1, 2)
    assert cores[3].gets_commits(1, A.digest, 0, 1).decisions == [(1, A)]
    votes: list[m.ViewChange] = []
    for bench in cores:
        bench.core.start_view_change(5)
        votes.append(bench.core.view_changes[bench.core.id])

    chosen = [vote for vote in votes if vote.signed_by != absent]
    selection = cores[1].core.select(chosen)

    assert selection.digests == ((1, A.digest),)


def test_a_certificate_of_an_older_view_does_not_return() -> None:
    """§4.5.1: once B was prepared in view 1, A of view 0 is out, also for those that only saw A."""
    bench = Bench(2)
    bench.prepares(1, A)
    newer = prepared_proof(1, B.digest, view=1)
    votes = [view_change(0, 3, newer), view_change(1, 3), view_change(3, 3)]

    refused = bench.hears(3, new_view(3, votes, (1, A.digest)))
    taken = bench.hears(3, new_view(3, votes, (1, B.digest)))

    assert refused.reports == ["bad-new-view"]
    assert "new-view" in taken.reports
