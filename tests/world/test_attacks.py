"""Participants who stray from the protocol, and what stops them: attack on, and control off."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulation.base.tensors import decode_model, encode_model, model_root
from simulation.contracts.aggregation import inputs_root
from simulation.contracts.rounds import commit_of
from simulation.learning.params import DpSgdParams
from simulation.nodes.conduct import Conduct, CoordinatorConduct
from simulation.nodes.params import HashOnlyLedger
from simulation.nodes.update_check import root_of
from simulation.trace.events import (
    AggregateRefused,
    ModelRefused,
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


@pytest.fixture
def sealed(experiment):
    """The task under commit_reveal, with little patience for those who do not reveal."""
    ledger = dataclasses.replace(experiment.ledger, reveal_deadline_s=1.0)
    return dataclasses.replace(experiment, ledger=ledger)


@pytest.fixture
def bare(experiment):
    return dataclasses.replace(experiment, ledger=HashOnlyLedger(store="memory"))


# ---- the copycat --------------------------------------------------------------------------------


class BareCopycat(Conduct):
    """Waits until somebody's update is out, then claims digest and update as its own."""

    def __init__(self) -> None:
        self.seen = {}

    def observe(self, reply) -> None:
        self.seen.setdefault(reply.round, reply)

    def prepare(self, ledger, order, product):
        while order.round not in self.seen:
            yield ledger.node.env.timeout(10_000)
        model = self.seen[order.round].model
        return dataclasses.replace(product, model=model, root=root_of(model))


class SealedCopycat(Conduct):
    """Copies a commitment from the ledger, and its opening as soon as that is revealed."""

    def __init__(self, victim: int) -> None:
        self.victim = victim
        self.copied = set()
        self.seen = {}

    def prepare(self, ledger, order, product):
        where = (ledger.copy, order.round, self.victim)
        yield ledger.when(lambda: commit_of(*where) is not None)
        return product

    def commits(self, ledger, order, body):
        found = commit_of(ledger.copy, order.round, self.victim)
        self.copied.add(order.round)
        return [{**body, "commitment": found.commitment, "examples": found.examples}]

    def observe(self, reply) -> None:
        self.seen.setdefault(reply.round, reply)

    def reply(self, reply):
        stolen = self.seen.get(reply.round)
        if stolen is None:
            return reply
        return dataclasses.replace(reply, model=stolen.model, salt=stolen.salt)


def test_under_hash_only_the_copycat_succeeds(bare):
    """hash_only, without salt or identity: the copy is accepted by everybody."""
    outcome = simulate(bare, 1, conducts={3: BareCopycat()})

    about_it = [e.accepted for e in only(outcome, UpdateChecked) if e.hospital == 3]
    assert about_it
    assert all(about_it)
    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]


def test_under_commit_reveal_no_copy_is_accepted(sealed):
    """commit_reveal: the copycat's accepted fraction is 0."""
    copycat = SealedCopycat(victim=0)

    outcome = simulate(sealed, 1, conducts={3: copycat})

    assert copycat.copied == {1, 2}
    checks = [e for e in only(outcome, UpdateChecked) if e.hospital == 3]
    assert checks
    assert not any(e.accepted for e in checks)
    assert "ok" not in codes(outcome, "task.reveal", 3)
    assert all(e.accepted == 3 for e in only(outcome, RoundClosed))


# ---- hospitals ----------------------------------------------------------------------------------


class Equivocator(Conduct):
    def commits(self, ledger, order, body):
        return [body, {**body, "commitment": bytes(32)}]


class Withholder(Conduct):
    def withholds(self, number):
        return number == 1


class FalseRevealer(Conduct):
    def reveal(self, body):
        return {**body, "update_root": b"x" * 32}


def test_an_equivocator_is_quarantined_on_signed_evidence(sealed):
    """Two signed commits: evidence stored, and no more commits until the end of the task."""
    outcome = simulate(sealed, 1, conducts={2: Equivocator()})

    assert codes(outcome, "task.commit", 2)[:2] == ["ok", "equivocation"]
    assert "ok" not in codes(outcome, "task.commit", 2)[1:]
    assert outcome.summary["ledger"]["evidence"] == ["round 1: hospital-02: equivocation"]
    assert [e.accepted for e in only(outcome, RoundClosed)] == [3, 3]


def test_a_withheld_update_costs_its_round_and_nobody_elses(sealed):
    """Withholds after commit: the round goes on at the deadline of the reveals."""
    outcome = simulate(sealed, 1, conducts={2: Withholder()})

    assert [(e.accepted, e.rejected) for e in only(outcome, RoundClosed)] == [(3, 1), (4, 0)]


def test_a_false_reveal_is_refused_by_the_contract(sealed):
    """The contract recomputes C against the ledger's C."""
    outcome = simulate(sealed, 1, conducts={2: FalseRevealer()})

    assert codes(outcome, "task.reveal", 2) == ["opening-mismatch"] * 2
    assert [e.accepted for e in only(outcome, RoundClosed)] == [3, 3]


# ---- the coordinator ----------------------------------------------------------------------------


class Scales(CoordinatorConduct):
    def aggregate(self, body):
        return {**body, "out_root": model_root({"scaled": decode_model(ONE)["w"]})}


class Omits(CoordinatorConduct):
    def aggregate(self, body):
        return {**body, "hospitals": list(body["hospitals"])[1:]}


class OmitsAndRecounts(CoordinatorConduct):
    """Leaves everybody out, consistently."""

    def aggregate(self, body):
        return {**body, "hospitals": [], "inputs_root": inputs_root([])}


ONE = encode_model({"w": np.ones(2, dtype=np.float32)})


@pytest.mark.parametrize(
    ("conduct", "code", "kind"),
    [
        (Scales(), "wrong-aggregate", "wrong-aggregate"),
        (Omits(), "wrong-inputs", "omission"),
        (OmitsAndRecounts(), "wrong-inputs", "omission"),
    ],
)
def test_a_dishonest_coordinator_is_rejected_and_named(experiment, conduct, code, kind):
    """A coordinator that tampers with or omits an update is rejected and named."""
    honest = simulate(experiment, 1)

    outcome = simulate(experiment, 1, coordinator=conduct)

    assert [e.reason for e in only(outcome, AggregateRefused)] == [code] * 2
    named = [f"round {r}: coordinator: {kind}" for r in (1, 2)]
    assert outcome.summary["ledger"]["evidence"] == named
    assert model_root(outcome.arrays) == model_root(honest.arrays)
    assert only(honest, AggregateRefused) == []
    assert honest.summary["ledger"]["evidence"] == []


def test_with_a_stock_strategy_the_arithmetic_is_not_checked_and_the_run_says_so(vary):
    """Stock Flower float strategies stay available, with their weaker guarantee stated."""
    outcome = simulate(vary(strategy="FedAvg", rounds=1), 1, coordinator=Scales())

    assert only(outcome, AggregateRefused) == []
    assert "not the arithmetic" in outcome.summary["ledger"]["aggregation"]


def test_an_honest_run_accuses_nobody(experiment):
    """The control: no refusal, no evidence, everybody's update."""
    outcome = simulate(experiment, 2)

    assert outcome.summary["ledger"]["evidence"] == []
    assert only(outcome, ModelRefused) == []
    assert all(e.accepted for e in only(outcome, TransactionExecuted))


def test_integers_learn_what_floats_learn(vary):
    """The learned model's AUROC equals float FedAvg's within 0.001."""
    models = []
    for strategy in ("FixedFedAvg", "FedAvg"):
        outcome = simulate(vary(strategy=strategy, rounds=4), 1)
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


def test_a_hospital_at_its_cap_sits_out_visibly_and_the_round_goes_on(experiment):
    """Refused at the cap; the refusal is a visible event and the round goes on."""
    free = DpSgdParams(noise_multiplier=1.0)
    spent = only(simulate(with_privacy(experiment, free), 1), PrivacySpent)
    first = max(e.epsilon for e in spent if e.round == 1)
    second = min(e.epsilon for e in spent if e.round == 2)
    assert first < second
    capped = DpSgdParams(noise_multiplier=1.0, cap=(first + second) / 2)

    outcome = simulate(with_privacy(experiment, capped, rounds=3), 1)

    assert [e.outcome for e in only(outcome, RoundClosed)] == ["aggregated", "void", "void"]
    refused = [(e.round, e.hospital, e.reason) for e in only(outcome, ModelRefused)]
    assert sorted(refused) == [(r, h, "budget-exceeded") for r in (2, 3) for h in range(4)]
    trained = {e.round for e in only(outcome, Trained)}
    assert trained == {1, 2}, "an exhausted hospital does not train any more"


def with_privacy(experiment, privacy, rounds=2):
    federation = dataclasses.replace(experiment.federation, rounds=rounds)
    return dataclasses.replace(experiment, privacy=privacy, federation=federation)
