"""NEW-VIEW (§4.4, §4.5.1): how the next primary starts its view, and who believes it."""

from __future__ import annotations

from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import NULL_BATCH
from tests.consensus.pbft.conftest import (
    EAGER,
    Bench,
    Effects,
    batch,
    history_of,
    prepared_proof,
    request,
    stable,
    view_change,
)

K = EAGER.checkpoint_interval
NULL = NULL_BATCH.digest
A, B, C = (batch(request(3, k)) for k in (1, 2, 3))


def takes_over(bench: Bench, *votes: m.ViewChange) -> m.NewView:
    """Replica 1 becomes primary of view 1 by these votes and its own."""
    out = [message for v in votes for message in bench.hears(v.signed_by, v).to_all(m.NewView)]
    (message,) = out
    return message


def assigned(message: m.NewView) -> list[tuple[int, bytes]]:
    return [(a.seq, a.digest) for a in message.assignments]


# ---- the new primary ----------------------------------------------------------------------------


def test_the_next_primary_needs_a_quorum_of_view_changes(bench: Bench) -> None:
    """§4.4: with 2f valid VIEW-CHANGEs of others and its own it multicasts NEW-VIEW."""
    one = bench.hears(2, view_change(2, 1))
    two = bench.hears(3, view_change(3, 1))

    assert one.kinds == []
    assert two.kinds == ["view-change", "new-view"], "f + 1 ask for it, so it joins and has 2f + 1"
    (message,) = two.to_all(m.NewView)
    assert [v.signed_by for v in message.view_changes] == [1, 2, 3]
    assert (bench.core.view, bench.core.active) == (1, True)


def test_nobody_else_announces_the_view() -> None:
    """§4.4: NEW-VIEW is sent by p = (v + 1) mod n alone."""
    bench = Bench(2)

    effects = bench.hears(0, view_change(0, 1)) + bench.hears(3, view_change(3, 1))

    assert bench.core.view == 1
    assert effects.sent(m.NewView) == []


def test_view_changes_for_another_view_do_not_count(bench: Bench) -> None:
    """§4.4: V is made of VIEW-CHANGEs for v + 1."""
    bench.hears(2, view_change(2, 5))

    effects = bench.hears(3, view_change(3, 1))

    assert effects.sent(m.NewView) == []


def test_with_nothing_prepared_o_is_empty(bench: Bench) -> None:
    """§4.4: min-s = max-s: there is nothing to carry over."""
    message = takes_over(bench, view_change(2, 1), view_change(3, 1))

    assert assigned(message) == []
    assert bench.core.next_seq == 1


def test_what_was_prepared_keeps_its_number(bench: Bench) -> None:
    """§4.4: O proposes again, in the new view, every request prepared at some replica of V."""
    votes = [view_change(2, 1, prepared_proof(1, A.digest)), view_change(3, 1)]

    message = takes_over(bench, *votes)

    assert assigned(message) == [(1, A.digest)]
    (only,) = message.assignments
    assert only.signature.replica == 1
    assert only.signature.signs(m.pre_prepare_statement(1, 1, A.digest))


def test_gaps_are_filled_with_null_requests(bench: Bench) -> None:
    """§4.4: between min-s and max-s, what nobody prepared becomes a null request."""
    votes = [view_change(2, 1, prepared_proof(3, A.digest)), view_change(3, 1)]

    message = takes_over(bench, *votes)

    assert assigned(message) == [(1, NULL), (2, NULL), (3, A.digest)]


def test_the_highest_view_wins() -> None:
    """§4.4, §4.5.1: among certificates for one number, that of the latest view counts."""
    bench = Bench(3)
    old, new = prepared_proof(1, A.digest, view=0), prepared_proof(1, B.digest, view=2)
    for votes in ([old, new], [new, old]):
        bench = Bench(3)
        first, second = view_change(0, 3, votes[0]), view_change(1, 3, votes[1])
        effects = bench.hears(0, first) + bench.hears(1, second)
        (message,) = effects.to_all(m.NewView)
        assert assigned(message) == [(1, B.digest)]


def test_o_begins_above_the_newest_stable_checkpoint(bench: Bench) -> None:
    """§4.4: min-s is the latest stable checkpoint in V; older certificates are settled."""
    made = bench.decides_up_to(K)
    proof = stable(K, history_of(made), (0, 2, 3))
    votes = [
        view_change(2, 1, prepared_proof(K + 1, A.digest), low=K, proof=proof),
        view_change(3, 1, prepared_proof(1, made[0].digest)),
    ]

    message = takes_over(bench, *votes)

    assert assigned(message) == [(K + 1, A.digest)]
    assert bench.core.low == K, "the primary adopts the checkpoint in its log"


def test_a_primary_that_adopts_a_checkpoint_gives_no_number_twice(primary: Bench) -> None:
    """§4.4: it adopts the checkpoint of V, and only then goes on above max-s.

    Replica 0 was primary before, its window is full and requests are queued when it becomes primary
    again; the checkpoint opens the window. (Seed 16472 of ``wardchain soak`` found this.)
    """
    out = Effects()
    for k in range(1, 11):
        out += primary.proposes(request(0, k))
    proposed = out.to_all(m.PrePrepare)
    assert [p.seq for p in proposed] == [*range(1, 9)], "the window is full, two are queued"
    for p in proposed[:K]:
        primary.gets_prepares(p.seq, p.digest, 1, 2)
        primary.gets_commits(p.seq, p.digest, 1, 2)
        primary.executes(p.seq)
    proof = stable(K, history_of(p.batch for p in proposed[:K]), (1, 2, 3))

    effects = Effects()
    for voter in (1, 2):
        effects += primary.hears(voter, view_change(voter, 4, low=K, proof=proof))

    (again,) = effects.to_all(m.PrePrepare)
    assert (again.view, again.seq) == (4, K + 1)
    assert [r.timestamp for r in again.batch.requests] == list(range(K + 1, 11)), "all left undone"


def test_new_proposals_follow_after_o(bench: Bench) -> None:
    """§4.4: in the new view the primary goes on above max-s."""
    takes_over(bench, view_change(2, 1, prepared_proof(2, A.digest)), view_change(3, 1))

    (proposal,) = bench.proposes(request(1)).to_all(m.PrePrepare)

    assert (proposal.view, proposal.seq) == (1, 3)


def test_requests_left_undone_are_proposed_by_the_new_primary(bench: Bench) -> None:
    """§4.4: what the old primary ignored is ordered in the new view, and not what O has already."""
    bench.prepares(1, A)
    bench.hears(2, m.RequestMessage(request(2, 7)))
    effects = bench.hears(2, view_change(2, 1)) + bench.hears(3, view_change(3, 1))

    (message,) = effects.to_all(m.NewView)
    (proposal,) = effects.to_all(m.PrePrepare)

    assert assigned(message) == [(1, A.digest)]
    assert (proposal.seq, proposal.batch.requests) == (2, (request(2, 7),))


def test_o_is_the_union_of_the_certificates_in_v() -> None:
    """§4.4: certificates may be spread over V; O is their union by number."""
    bench = Bench(1)
    votes = [
        view_change(2, 1, prepared_proof(1, A.digest), prepared_proof(3, C.digest)),
        view_change(3, 1, prepared_proof(2, B.digest)),
    ]

    message = takes_over(bench, *votes)

    assert assigned(message) == [(1, A.digest), (2, B.digest), (3, C.digest)]
