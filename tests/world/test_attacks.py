"""Participants who stray from the protocol, and what stops them: attack on, and control off."""

from __future__ import annotations

import dataclasses
import os

import pytest

from simulation.attacks.coordinator.tamper import OmitAttack, ReweighAttack, TamperAttack
from simulation.attacks.members.copycat import CopycatAttack
from simulation.attacks.members.equivocate import EquivocateAttack
from simulation.attacks.members.false_reveal import FalseRevealAttack
from simulation.attacks.members.overspend import OverspendAttack
from simulation.attacks.members.replay import ReplayAttack
from simulation.attacks.members.withhold import WithholdAttack
from simulation.attacks.vaults.bad_vault import BadVaultAttack
from simulation.base.tensors import model_root
from simulation.learning.params import DpSgdParams
from simulation.nodes.params import HashOnlyLedger
from simulation.records.params import HeartDiseaseParams, NaturalParams
from simulation.trace.events import (
    AggregateRefused,
    Attacked,
    ModelRefused,
    ObjectFetched,
    ObjectLost,
    PrivacySpent,
    RoundClosed,
    Trained,
    TransactionExecuted,
    UpdateChecked,
)
from simulation.world import simulate


def only(outcome, kind):
    return [event for event in outcome.events if isinstance(event, kind)]


def codes(outcome, kind: str, node: int) -> list[str]:
    executed = only(outcome, TransactionExecuted)
    return [e.code for e in executed if (e.kind, e.node) == (kind, node)]


def attacked(experiment, *attacks):
    """The outcome with these attackers in it."""
    return simulate(dataclasses.replace(experiment, attacks=attacks), 1)


@pytest.fixture
def sealed(experiment):
    """The task under commit_reveal, with little patience for those who do not reveal."""
    ledger = dataclasses.replace(experiment.ledger, reveal_deadline_s=1.0)
    return dataclasses.replace(experiment, ledger=ledger)


@pytest.fixture
def bare(experiment):
    return dataclasses.replace(experiment, ledger=HashOnlyLedger(store="memory"))


# ---- the copycat --------------------------------------------------------------------------------


def test_under_hash_only_the_copycat_succeeds(bare):
    """hash_only, without salt or identity: the copy is accepted by everybody."""
    outcome = attacked(bare, CopycatAttack(hospitals=(3,)))

    about_it = [e.accepted for e in only(outcome, UpdateChecked) if e.hospital == 3]
    assert about_it
    assert all(about_it)
    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]


def test_under_commit_reveal_no_copy_is_accepted(sealed):
    """commit_reveal: the copycat's accepted fraction is 0."""
    outcome = attacked(sealed, CopycatAttack(hospitals=(3,)))

    assert [(e.round, e.node) for e in only(outcome, Attacked)] == [(1, 3), (2, 3)]
    checks = [e for e in only(outcome, UpdateChecked) if e.hospital == 3]
    assert checks
    assert not any(e.accepted for e in checks)
    assert "ok" not in codes(outcome, "task.reveal", 3)
    assert all(e.accepted == 3 for e in only(outcome, RoundClosed))


# ---- hospitals ----------------------------------------------------------------------------------


def test_an_equivocator_is_quarantined_on_signed_evidence(sealed):
    """Two signed commits: evidence stored, and no more commits until the end of the task."""
    outcome = attacked(sealed, EquivocateAttack(hospitals=(2,)))

    assert codes(outcome, "task.commit", 2)[:2] == ["ok", "equivocation"]
    assert "ok" not in codes(outcome, "task.commit", 2)[1:]
    assert outcome.summary["ledger"]["evidence"] == ["round 1: hospital-02: equivocation"]
    assert [e.accepted for e in only(outcome, RoundClosed)] == [3, 3]


def test_a_withheld_update_costs_its_round_and_nobody_elses(sealed):
    """Withholds after commit: the round goes on at the deadline of the reveals (scenario 31)."""
    outcome = attacked(sealed, WithholdAttack(hospitals=(2,), until_round=1))

    assert [(e.accepted, e.rejected) for e in only(outcome, RoundClosed)] == [(3, 1), (4, 0)]


@pytest.mark.parametrize(
    ("what", "code"),
    [("own", "bad-sequence"), ("other", "bad-sequence"), ("chain", "wrong-chain")],
)
@pytest.mark.parametrize("ledger", ["sealed", "bare"])
def test_a_transaction_that_comes_again_is_refused(request, ledger, what, code):
    """Replay of an old transaction, another's, or for another chain; the round is untouched."""
    experiment = request.getfixturevalue(ledger)

    outcome = attacked(experiment, ReplayAttack(hospitals=(2,), what=what))

    assert [(e.round, e.node, e.detail) for e in only(outcome, Attacked)] == [
        (2, 2, f"{what}: {code}")
    ]
    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]


def test_last_rounds_update_opens_nothing_in_this_round(sealed):
    """Replay in another round: round and base root are inside the hash."""
    outcome = attacked(sealed, ReplayAttack(hospitals=(2,), what="round"))

    checks = [e for e in only(outcome, UpdateChecked) if (e.round, e.hospital) == (2, 2)]
    assert {e.reason for e in checks} == {"opening-mismatch"}
    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 3]


def test_bare_digests_take_last_rounds_update_again(bare):
    """The ablation: a bare digest is not bound to its round."""
    outcome = attacked(bare, ReplayAttack(hospitals=(2,), what="round"))

    assert len(only(outcome, Attacked)) == 1
    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]


def test_other_bytes_than_committed_find_no_holder(sealed):
    """Reveals something else than committed: nobody signs for it, so nothing can be revealed."""
    outcome = attacked(sealed, FalseRevealAttack(hospitals=(2,), what="update"))

    checks = [e for e in only(outcome, UpdateChecked) if e.hospital == 2]
    assert checks
    assert {e.reason for e in checks} == {"opening-mismatch"}
    assert [e.accepted for e in only(outcome, RoundClosed)] == [3, 3]


def test_a_false_reveal_is_refused_by_the_contract(sealed):
    """The contract recomputes C against the ledger's C."""
    outcome = attacked(sealed, FalseRevealAttack(hospitals=(2,), what="root"))

    assert codes(outcome, "task.reveal", 2) == ["opening-mismatch"] * 2
    assert [e.accepted for e in only(outcome, RoundClosed)] == [3, 3]


@pytest.mark.parametrize(("what", "problem"), [("lose", "missing"), ("alter", "altered")])
def test_what_a_bad_vault_takes_is_fetched_from_another_holder(sealed, what, problem):
    """Vault alters or loses an object: CID check, refetch from other holders; the same model."""
    outcome = attacked(sealed, BadVaultAttack(hospitals=(2,), what=what))

    lost, fetched = only(outcome, ObjectLost), only(outcome, ObjectFetched)
    assert {(e.node, e.problem) for e in lost} == {(2, problem)}
    assert {(e.round, e.hospital) for e in fetched} == {(e.round, e.hospital) for e in lost}
    assert model_root(outcome.arrays) == model_root(simulate(sealed, 1).arrays)


# ---- the coordinator ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "code", "kind"),
    [
        (TamperAttack(), "wrong-aggregate", "wrong-aggregate"),
        (ReweighAttack(), "wrong-aggregate", "wrong-aggregate"),
        (OmitAttack(), "wrong-inputs", "omission"),
    ],
)
def test_a_dishonest_coordinator_is_rejected_and_named(experiment, attack, code, kind):
    """A coordinator that tampers with or omits an update is rejected and named."""
    honest = simulate(experiment, 1)

    outcome = attacked(experiment, attack)

    assert [e.reason for e in only(outcome, AggregateRefused)] == [code] * 2
    named = [f"round {r}: coordinator: {kind}" for r in (1, 2)]
    assert outcome.summary["ledger"]["evidence"] == named
    assert model_root(outcome.arrays) == model_root(honest.arrays)
    assert only(honest, AggregateRefused) == []
    assert honest.summary["ledger"]["evidence"] == []


def test_with_a_stock_strategy_the_arithmetic_is_not_checked_and_the_run_says_so(vary):
    """Stock Flower float strategies stay available, with their weaker guarantee stated."""
    stock = vary(strategy="FedAvg", rounds=1)

    outcome = attacked(stock, TamperAttack(victim=1))

    assert only(outcome, AggregateRefused) == []
    assert model_root(outcome.arrays) != model_root(simulate(stock, 1).arrays)
    assert "not the arithmetic" in outcome.summary["ledger"]["aggregation"]


@pytest.mark.parametrize("attack", [TamperAttack(), OmitAttack(), ReweighAttack()])
def test_where_nobody_recomputes_the_coordinator_changes_the_model_unseen(bare, attack):
    """The ablation: under hash_only the coordinator's model is whatever it makes of the updates."""
    honest = simulate(bare, 1)

    outcome = attacked(bare, attack)

    assert only(outcome, AggregateRefused) == []
    assert [e.round for e in only(outcome, Attacked)] == [1, 2]
    assert model_root(outcome.arrays) != model_root(honest.arrays)


def test_an_honest_run_accuses_nobody(experiment):
    """The control: no refusal, no evidence, everybody's update."""
    outcome = simulate(experiment, 2)

    assert outcome.summary["ledger"]["evidence"] == []
    assert only(outcome, ModelRefused) == []
    assert all(e.accepted for e in only(outcome, TransactionExecuted))


@pytest.mark.parametrize("source", ["breast_cancer", "heart_disease"])
def test_integers_learn_what_floats_learn(vary, source: str):
    """The learned model's AUROC equals float FedAvg's within 0.001 (on heart disease, too)."""
    change = {}
    if source == "heart_disease":
        if "WARDCHAIN_DATA" not in os.environ:
            pytest.skip("WARDCHAIN_DATA names no folder with the data")
        change = {"data": HeartDiseaseParams(), "partition": NaturalParams()}
    models = []
    for strategy in ("FixedFedAvg", "FedAvg"):
        experiment = dataclasses.replace(vary(strategy=strategy, rounds=4), **change)
        outcome = simulate(experiment, 1)
        (auroc,) = (
            row["value"]
            for row in outcome.metrics
            if (row["round"], row["scope"], row["metric"]) == (4, "pooled", "auroc")
        )
        models.append((auroc, outcome.arrays))
    (fixed, a), (floating, b) = models
    assert abs(fixed - floating) <= 0.001
    assert all(abs(a[name] - b[name]).max() < 1e-6 for name in a)


# ---- budgets ------------------------------------------------------------------------------------


def room_for_one_round(experiment):
    """Three rounds under a cap that the second round would pass at every hospital."""
    free = DpSgdParams(noise_multiplier=1.0)
    spent = only(simulate(with_privacy(experiment, free), 1), PrivacySpent)
    first = max(e.epsilon for e in spent if e.round == 1)
    second = min(e.epsilon for e in spent if e.round == 2)
    assert first < second
    capped = DpSgdParams(noise_multiplier=1.0, cap=(first + second) / 2)
    return with_privacy(experiment, capped, rounds=3)


def test_a_hospital_checks_its_budget_before_it_trains_sits_out_and_the_round_goes_on(experiment):
    """Checks ε_spent + ε_round ≤ cap (else sits out, visibly), before it trains."""
    capped = room_for_one_round(experiment)

    outcome = simulate(capped, 1)

    assert [e.outcome for e in only(outcome, RoundClosed)] == ["aggregated", "void", "void"]
    refused = [(e.round, e.hospital, e.reason) for e in only(outcome, ModelRefused)]
    assert sorted(refused) == [(r, h, "budget-exceeded") for r in (2, 3) for h in range(4)]
    assert {e.round for e in only(outcome, Trained)} == {1}
    assert max(e.epsilon for e in only(outcome, PrivacySpent)) <= capped.privacy.cap


def test_the_contract_refuses_whoever_trains_on_with_a_budget_that_is_used_up(experiment):
    """Refused at the cap, and the refusal is a visible event; the others are not touched."""
    outcome = attacked(room_for_one_round(experiment), OverspendAttack(hospitals=(2,)))

    assert [e.outcome for e in only(outcome, RoundClosed)] == ["aggregated", "void", "void"]
    trained = {(e.round, e.hospital) for e in only(outcome, Trained) if e.round > 1}
    assert trained == {(2, 2), (3, 2)}
    assert codes(outcome, "task.commit", 2) == ["ok", "budget-exceeded", "budget-exceeded"]
    assert [(e.round, e.node) for e in only(outcome, Attacked)] == [(2, 2), (3, 2)]


def with_privacy(experiment, privacy, rounds=2):
    federation = dataclasses.replace(experiment.federation, rounds=rounds)
    return dataclasses.replace(experiment, privacy=privacy, federation=federation)
