"""The rules of the normal case (§4.2), one replica at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.consensus.pbft import messages as m
from simulation.consensus.protocol import Batch
from tests.consensus.pbft.conftest import EAGER, Bench, batch, pre_prepare, request, signer

PROPOSAL = batch(request(3))


# ---- pre-prepare --------------------------------------------------------------------------------


def test_the_primary_assigns_successive_numbers(primary: Bench) -> None:
    """§4.2: the primary gives each batch the next number and multicasts PRE-PREPARE with it."""
    made = [primary.hears(3, m.RequestMessage(request(3, k))) for k in (1, 2, 3)]

    sent = [e.to_all(m.PrePrepare)[0] for e in made]
    assert [(p.view, p.seq) for p in sent] == [(0, 1), (0, 2), (0, 3)]
    assert all(p.digest == p.batch.digest and p.signed_by == 0 for p in sent)


def test_a_backup_answers_a_proposal_with_prepare(bench: Bench) -> None:
    """§4.2: a backup that accepts a proposal logs it and multicasts ⟨PREPARE, v, n, d, i⟩."""
    effects = bench.hears(0, pre_prepare(1, PROPOSAL))

    (vote,) = effects.to_all(m.Prepare)
    assert (vote.view, vote.seq, vote.digest, vote.signed_by) == (0, 1, PROPOSAL.digest, 1)
    assert effects.kinds == ["prepare"]
    assert bench.core.log[1].pre_prepare == pre_prepare(1, PROPOSAL)


def test_only_the_primary_may_propose(bench: Bench) -> None:
    """§4.2: a PRE-PREPARE counts when the primary of its view has signed and sent it."""
    as_backup = m.pre_prepare(signer(2), 0, 1, Batch(PROPOSAL.requests, 0, 0, 2))
    forged = replace(pre_prepare(1, PROPOSAL), signature=signer(2).sign(("pre-prepare", 0, 1)))

    effects = bench.hears(2, as_backup) + bench.hears(2, pre_prepare(1, PROPOSAL))
    effects += bench.hears(0, forged)

    assert effects.kinds == []
    assert bench.hears(0, pre_prepare(1, PROPOSAL)).kinds == ["prepare"]


def test_a_proposal_for_another_view_is_not_accepted(bench: Bench) -> None:
    """§4.2: the backup must be in view v: neither a past view nor a future one counts."""
    bench.enters(3)
    past = pre_prepare(1, batch(request(3), view=2))
    future = pre_prepare(1, batch(request(3), view=4))

    assert bench.hears(2, past).kinds == bench.hears(0, future).kinds == []
    assert bench.hears(3, pre_prepare(1, batch(request(3), view=3))).kinds == ["prepare"]


def test_a_second_proposal_for_the_same_number_is_refused(bench: Bench) -> None:
    """§4.2: a backup accepts one digest for a view and number; the other is proof of a lie."""
    other = batch(request(2))
    bench.hears(0, pre_prepare(1, PROPOSAL))

    effects = bench.hears(0, pre_prepare(1, other))

    assert effects.kinds == []
    assert effects.reports == ["equivocation"]
    one, two = bench.core.evidence[0]
    assert isinstance(one, m.PrePrepare)
    assert isinstance(two, m.PrePrepare)
    assert (one.view, one.seq) == (two.view, two.seq)
    assert (one.signed_by, two.signed_by) == (0, 0)
    assert one.digest != two.digest


def test_the_same_proposal_again_changes_nothing(bench: Bench) -> None:
    """§4.2: PRE-PREPARE is idempotent."""
    bench.hears(0, pre_prepare(1, PROPOSAL))

    assert bench.hears(0, pre_prepare(1, PROPOSAL)) == []
    assert bench.core.evidence == {}


@pytest.mark.parametrize("seq", [-1, 0, 9, 10, 1000])
def test_numbers_outside_the_water_marks_are_not_accepted(seq: int, bench: Bench) -> None:
    """§4.2: h < n ≤ H, so that a faulty primary cannot exhaust the numbers by one large choice."""
    assert (bench.core.low, bench.core.high) == (0, 8)

    assert bench.hears(0, pre_prepare(seq, PROPOSAL)).kinds == []
    assert bench.hears(0, pre_prepare(8, PROPOSAL)).kinds == ["prepare"]


def test_the_digest_must_be_that_of_the_batch(bench: Bench) -> None:
    """§4.2: d is the digest of m; the backup hashes the batch before it votes."""
    digest = PROPOSAL.digest
    other = batch(request(2))
    signature = signer(0).sign(m.pre_prepare_statement(0, 1, digest))

    effects = bench.hears(0, m.PrePrepare(0, 1, digest, other, signature))

    assert effects.kinds == []
    assert bench.hears(0, pre_prepare(1, PROPOSAL)).kinds == ["prepare"]


@pytest.mark.parametrize("lie", [{"view": 1}, {"proposer": 2}])
def test_the_batch_must_name_its_true_origin(lie: dict[str, int], bench: Bench) -> None:
    """§4.2 with deviation 4: view and proposer in the batch are those of the PRE-PREPARE."""
    effects = bench.hears(0, m.pre_prepare(signer(0), 0, 1, replace(PROPOSAL, **lie)))

    assert effects.kinds == []


# ---- prepare ------------------------------------------------------------------------------------


def test_prepared_needs_a_proposal_and_2f_matching_prepares() -> None:
    """§4.2: prepared is the PRE-PREPARE and 2f PREPAREs from different backups that match it."""
    bench = Bench(1, 7)
    proposal = batch(request(3), n=7)
    bench.hears(0, pre_prepare(1, proposal))

    before = bench.gets_prepares(1, proposal.digest, 2, 3)
    at = bench.gets_prepares(1, proposal.digest, 4)

    assert before.reports == []
    assert at.reports == ["prepared"]
    (vote,) = at.to_all(m.Commit)
    assert (vote.view, vote.seq, vote.digest, vote.signed_by) == (0, 1, proposal.digest, 1)


def test_without_a_proposal_nothing_is_prepared(bench: Bench) -> None:
    """§4.2: PREPAREs alone do not make a certificate, however many."""
    votes = bench.gets_prepares(1, PROPOSAL.digest, 2, 3)

    assert votes.kinds == votes.reports == []
    effects = bench.hears(0, pre_prepare(1, PROPOSAL))
    assert effects.kinds == ["prepare", "commit"]


def test_the_primarys_own_prepare_does_not_count() -> None:
    """§4.2: the PRE-PREPARE stands for the primary's vote; a PREPARE of it would count twice."""
    bench = Bench(1, 7)
    proposal = batch(request(3), n=7)
    bench.hears(0, pre_prepare(1, proposal))

    effects = bench.gets_prepares(1, proposal.digest, 2, 3, 0)

    assert effects.kinds == []


def test_the_primary_sends_no_prepare(primary: Bench) -> None:
    """§4.2: the primary goes from its proposal to COMMIT on 2f PREPAREs of the backups."""
    (proposal,) = primary.proposes(request(0)).to_all(m.PrePrepare)

    one = primary.gets_prepares(1, proposal.digest, 1)
    two = primary.gets_prepares(1, proposal.digest, 2)

    assert (one.kinds, two.kinds) == ([], ["commit"])


@pytest.mark.parametrize("field", ["view", "seq", "digest"])
def test_only_prepares_that_match_the_proposal_count(field: str, bench: Bench) -> None:
    """§4.2: same view, same number, same digest."""
    bench.hears(0, pre_prepare(1, PROPOSAL))
    fields = {"view": 0, "seq": 1, "digest": PROPOSAL.digest}
    other = {"view": 1, "seq": 2, "digest": bytes(32)}
    vote = {**fields, field: other[field]}

    for i in (2, 3):
        lie = m.prepare(signer(i), vote["view"], vote["seq"], vote["digest"])
        assert bench.hears(i, lie).sent(m.Commit) == []


def test_a_replica_votes_once_however_often_it_sends() -> None:
    """§4.2: 2f PREPAREs *from different backups*."""
    bench = Bench(1, 7)
    proposal = batch(request(3), n=7)
    bench.hears(0, pre_prepare(1, proposal))

    assert bench.gets_prepares(1, proposal.digest, 2, 2, 2, 2, 3, 3).kinds == []
    assert bench.gets_prepares(1, proposal.digest, 4).kinds == ["commit"]


def test_two_votes_of_one_replica_are_evidence(bench: Bench) -> None:
    """§4.2: a correct backup sends one PREPARE for a view and number."""
    bench.hears(0, pre_prepare(1, PROPOSAL))
    bench.gets_prepares(1, bytes(32), 2)

    effects = bench.gets_prepares(1, PROPOSAL.digest, 2)

    assert effects.reports == ["equivocation"]
    assert effects.kinds == [], "the second vote does not replace the first"
    assert set(bench.core.evidence) == {2}


# ---- commit and execution -----------------------------------------------------------------------


def test_a_decision_needs_prepared_and_2f_plus_1_commits(bench: Bench) -> None:
    """§4.2: committed-local is prepared and 2f + 1 matching COMMITs, the own one among them."""
    bench.prepares(1, PROPOSAL)

    assert bench.gets_commits(1, PROPOSAL.digest, 0).decisions == []
    assert bench.gets_commits(1, PROPOSAL.digest, 0, 0).decisions == []
    assert bench.gets_commits(1, PROPOSAL.digest, 3).decisions == [(1, PROPOSAL)]


def test_commits_without_prepared_do_not_decide(bench: Bench) -> None:
    """§4.2: a replica executes what is prepared at itself, whatever others have committed."""
    bench.hears(0, pre_prepare(1, PROPOSAL))

    assert bench.gets_commits(1, PROPOSAL.digest, 0, 2, 3).decisions == []
    assert bench.gets_prepares(1, PROPOSAL.digest, 2).decisions == [(1, PROPOSAL)]


@pytest.mark.parametrize("field", ["view", "seq", "digest"])
def test_only_commits_that_match_count(field: str, bench: Bench) -> None:
    """§4.2: COMMITs match the PRE-PREPARE in view, number and digest."""
    bench.prepares(1, PROPOSAL)
    fields = {"view": 0, "seq": 1, "digest": PROPOSAL.digest}
    other = {"view": 1, "seq": 2, "digest": bytes(32)}
    vote = {**fields, field: other[field]}

    for i in (0, 2, 3):
        lie = m.commit(signer(i), vote["view"], vote["seq"], vote["digest"])
        assert bench.hears(i, lie).decisions == []


def test_batches_are_executed_in_the_order_of_their_numbers(bench: Bench) -> None:
    """§4.2: a committed batch waits until all with lower numbers have been executed."""
    made = [batch(request(3, k), time_us=k) for k in (1, 2, 3)]

    late = bench.decides(3, made[2]) + bench.decides(2, made[1])
    effects = bench.decides(1, made[0])

    assert late.decisions == []
    assert effects.decisions == [(1, made[0]), (2, made[1]), (3, made[2])]


def test_messages_may_come_in_any_order(bench: Bench) -> None:
    """§4.2: COMMITs before PREPAREs before the PRE-PREPARE decide all the same."""
    votes = bench.gets_commits(1, PROPOSAL.digest, 0, 2, 3)
    votes += bench.gets_prepares(1, PROPOSAL.digest, 2, 3)

    effects = bench.hears(0, pre_prepare(1, PROPOSAL))

    assert votes.kinds == []
    assert effects.kinds == ["prepare", "commit"]
    assert effects.decisions == [(1, PROPOSAL)]


def test_instances_run_side_by_side() -> None:
    """§4.2: votes for one number say nothing about another."""
    bench = Bench(1, 4, EAGER)
    one, two = batch(request(3, 1)), batch(request(3, 2))
    bench.hears(0, pre_prepare(1, one))
    bench.hears(0, pre_prepare(2, two))

    effects = bench.gets_prepares(2, two.digest, 2)

    assert [v.seq for v in effects.to_all(m.Commit)] == [2]
    assert not bench.core.log[1].prepared


def test_a_decided_number_is_still_voted_for(bench: Bench) -> None:
    """§4.2: others may need this replica's vote, also when it has its own quorum early."""
    bench.gets_commits(1, PROPOSAL.digest, 0, 2, 3)

    effects = bench.prepares(1, PROPOSAL)

    assert effects.kinds == ["prepare", "commit"]
