"""VIEW-CHANGE (§4.4): when a replica leaves its view, and what it says when it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.consensus.pbft import messages as m
from tests.consensus.pbft.conftest import (
    EAGER,
    Bench,
    batch,
    pre_prepare,
    prepared_proof,
    request,
    signer,
    stable,
    state_after,
    view_change,
)

K = EAGER.checkpoint_interval
T_US = 10_000_000
WANTED = request(3)


def suspects(bench: Bench) -> m.ViewChange:
    """Let a request wait too long; the VIEW-CHANGE that follows."""
    bench.hears(2, m.RequestMessage(request(2, 99)))
    (message,) = bench.fires("request").to_all(m.ViewChange)
    return message


def test_a_waiting_request_starts_the_timer_once(bench: Bench) -> None:
    """§4.4: a backup starts a timer when it receives a request and none is running."""
    first = bench.hears(2, m.RequestMessage(request(2, 1)))
    second = bench.hears(2, m.RequestMessage(request(2, 2)))

    assert first.timers[("request",)] == T_US
    assert ("request",) not in second.timers


def test_the_timer_stops_when_nothing_waits(bench: Bench) -> None:
    """§4.4: the timer is stopped when the backup no longer waits to execute the request."""
    bench.hears(3, m.RequestMessage(WANTED))

    effects = bench.decides(1, batch(WANTED))

    assert ("request",) in effects.cancelled


def test_the_timer_starts_anew_for_the_next_request(bench: Bench) -> None:
    """§4.4: it is restarted if the backup still waits to execute some other request."""
    bench.hears(3, m.RequestMessage(WANTED))
    bench.hears(2, m.RequestMessage(request(2)))

    effects = bench.decides(1, batch(WANTED))

    assert effects.timers[("request",)] == T_US
    assert ("request",) not in effects.cancelled


def test_a_backup_that_waits_too_long_asks_for_the_next_view(bench: Bench) -> None:
    """§4.4: on expiry it multicasts ⟨VIEW-CHANGE, v + 1, n, C, P, i⟩."""
    message = suspects(bench)

    assert (message.view, message.low, message.stable, message.prepared) == (1, 0, (), ())
    assert message.signed_by == 1
    assert (bench.core.view, bench.core.active) == (1, False)


def test_the_primary_does_not_suspect_itself(primary: Bench) -> None:
    """§4.4: the timer is the backups'."""
    primary.proposes(request(0))

    effects = primary.fires("request")

    assert effects.kinds == []
    assert (primary.core.view, primary.core.active) == (0, True)
    assert ("request",) in effects.timers


def test_between_views_nothing_of_the_old_view_is_accepted(bench: Bench) -> None:
    """§4.4: it takes no messages but CHECKPOINT, VIEW-CHANGE and NEW-VIEW (and recovery's)."""
    proposal = batch(WANTED)
    suspects(bench)

    effects = bench.hears(0, pre_prepare(1, proposal))
    effects += bench.gets_prepares(1, proposal.digest, 2, 3)
    effects += bench.gets_commits(1, proposal.digest, 0, 2, 3)

    assert effects == []


def test_p_holds_what_was_prepared(bench: Bench) -> None:
    """§4.4: P has, for each prepared request, its PRE-PREPARE and 2f matching PREPAREs."""
    made = [batch(request(3, k)) for k in (1, 2)]
    for seq, proposal in enumerate(made, start=1):
        bench.prepares(seq, proposal)

    message = suspects(bench)

    assert [(p.view, p.seq, p.digest) for p in message.prepared] == [
        (0, seq, b.digest) for seq, b in enumerate(made, start=1)
    ]
    for proof in message.prepared:
        assert proof.signature.signs(m.pre_prepare_statement(0, proof.seq, proof.digest))
        assert proof.signature.replica == 0
        assert len({v.signed_by for v in proof.prepares} - {0}) == 2
        assert {(v.view, v.seq, v.digest) for v in proof.prepares} == {(0, proof.seq, proof.digest)}


def test_p_leaves_out_what_was_only_proposed(bench: Bench) -> None:
    """§4.4: a PRE-PREPARE without its PREPAREs is no certificate."""
    bench.hears(0, pre_prepare(1, batch(request(3, 1))))
    bench.prepares(2, batch(request(3, 2)))

    assert [p.seq for p in suspects(bench).prepared] == [2]


def test_c_proves_the_checkpoint_and_p_begins_above_it(bench: Bench) -> None:
    """§4.4: n is the last stable checkpoint, C its 2f + 1 proofs; P is about numbers above n."""
    bench.decides_up_to(K)
    history = bench.core.history
    for i in (0, 2):
        bench.hears(i, *stable(K, history, (i,)))
    bench.prepares(K + 1, batch(WANTED))

    message = suspects(bench)

    assert message.low == K
    assert sorted(v.signed_by for v in message.stable) == [0, 1, 2]
    assert {(v.seq, v.history, v.state) for v in message.stable} == {(K, history, state_after(K))}
    assert [p.seq for p in message.prepared] == [K + 1]


def test_p_remembers_across_views(bench: Bench) -> None:
    """§4.4, §4.5.1: what was prepared stays in P until a later view prepares that number again."""
    proposal = batch(WANTED)
    bench.prepares(1, proposal)
    first = suspects(bench)

    effects = bench.hears(0, view_change(0, 3)) + bench.hears(2, view_change(2, 3))

    (second,) = effects.to_all(m.ViewChange)
    assert (first.view, second.view) == (1, 3)
    assert [p.digest for p in second.prepared] == [proposal.digest]
    assert second.prepared == first.prepared


# ---- which VIEW-CHANGEs count -------------------------------------------------------------------


def bad_view_changes() -> dict[str, m.ViewChange]:
    """By what is wrong with them: VIEW-CHANGEs of replica 3 for view 2."""
    digest = batch(WANTED).digest
    good = prepared_proof(1, digest)
    wrong_vote = m.prepare(signer(2), 0, 1, bytes(32))
    cert = stable(K, bytes(32), (0, 2, 3))
    return {
        "too few prepares": view_change(3, 2, prepared_proof(1, digest, backups=(1,))),
        "one backup twice": view_change(3, 2, prepared_proof(1, digest, backups=(1, 1))),
        "the primary among the backups": view_change(
            3, 2, prepared_proof(1, digest, backups=(0, 1))
        ),
        "a vote for another digest": view_change(
            3, 2, replace(good, prepares=(good.prepares[0], wrong_vote))
        ),
        "no signature of the primary": view_change(
            3, 2, replace(good, signature=signer(3).sign(m.pre_prepare_statement(0, 1, digest)))
        ),
        "a signature under something else": view_change(3, 2, replace(good, digest=bytes(32))),
        "prepared in the view asked for": view_change(3, 2, prepared_proof(1, digest, view=2)),
        "prepared in a view below zero": view_change(3, 2, prepared_proof(1, digest, view=-1)),
        "beyond the window": view_change(3, 2, prepared_proof(9, digest)),
        "at the low mark": view_change(3, 2, prepared_proof(K, digest), low=K, proof=cert),
        "a number twice": view_change(3, 2, good, good),
        "a low mark without proof": view_change(3, 2, low=K),
        "a checkpoint of too few": view_change(3, 2, low=K, proof=cert[:2]),
        "a checkpoint of one": view_change(3, 2, low=K, proof=(cert[0],) * 3),
        "a checkpoint of another number": view_change(3, 2, low=2 * K, proof=cert),
        "a proof of nothing": view_change(3, 2, low=0, proof=cert),
    }


@pytest.mark.parametrize("what", list(bad_view_changes()))
def test_a_view_change_that_proves_nothing_is_refused(what: str, bench: Bench) -> None:
    """§4.4: a VIEW-CHANGE counts only if C and P are certificates."""
    bench.hears(0, view_change(0, 2))

    effects = bench.hears(3, bad_view_changes()[what])

    assert effects.reports == ["bad-view-change"]
    assert effects.kinds == []
    assert bench.core.view == 0


def test_a_good_one_is_not_refused(bench: Bench) -> None:
    """§4.4: the counterpart: with true certificates f + 1 of them are heard."""
    digest = batch(WANTED).digest
    proof = stable(K, bytes(32), (0, 2, 3))
    bench.hears(0, view_change(0, 2))

    effects = bench.hears(3, view_change(3, 2, prepared_proof(K + 1, digest), low=K, proof=proof))

    assert effects.reports == ["view-change"]
    assert bench.core.view == 2


def test_a_view_change_speaks_for_its_signer_only(bench: Bench) -> None:
    """§4.4: messages are signed; nobody asks for a view in another's name."""
    bench.hears(0, view_change(0, 2))

    assert bench.hears(3, view_change(2, 2)) == []
    assert set(bench.core.view_changes) == {0}


def test_two_view_changes_for_one_view_are_evidence(bench: Bench) -> None:
    """§4.4: a correct replica says once, for each view, what it has prepared."""
    hides = view_change(3, 2)
    tells = view_change(3, 2, prepared_proof(1, batch(WANTED).digest))

    effects = bench.hears(3, hides) + bench.hears(3, tells)

    assert effects.reports == ["equivocation"]
    assert bench.core.view_changes[3] == hides
