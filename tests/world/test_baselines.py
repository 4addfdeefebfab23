"""Central and local training: a federation's splits, steps and metrics, without the federation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simulation.config.checks import contradictions
from simulation.federation.params import CentralTraining, LocalTraining
from simulation.learning.metrics import measure
from simulation.learning.params import DpSgdParams
from simulation.nodes.params import NoLedger
from simulation.runs.estimate import estimate
from simulation.trace.events import PrivacySpent, Trained
from simulation.world import make_setting, simulate

KINDS = {"central": CentralTraining, "local": LocalTraining}


@pytest.fixture
def baseline(experiment):
    """The small task without its federation."""

    def build(kind: str, **changes):
        alone = KINDS[kind](rounds=2)
        return dataclasses.replace(experiment, federation=alone, ledger=NoLedger(), **changes)

    return build


def value(outcome, scope: str, metric: str, number: int = 2) -> float:
    (found,) = [
        row["value"]
        for row in outcome.metrics
        if (row["scope"], row["metric"], row["round"]) == (scope, metric, number)
    ]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_has_the_rows_of_a_federation_and_starts_where_it_starts(
    experiment, baseline, kind
):
    """ "metrics in the same rows": every measurement, from the same model on the same test rows."""
    federated, alone = simulate(experiment, 3), simulate(baseline(kind), 3)

    def measured(outcome) -> set[tuple[str, str, int]]:
        keys = {(r["scope"], r["metric"], r["round"]) for r in outcome.metrics}
        return {key for key in keys if key[0] in {"pooled", "mean", "hospital-03"}}

    plain = {key for key in measured(federated) if not key[1].endswith("_by")}
    assert measured(alone) == plain
    for metric in ("auroc", "log_loss"):
        first = value(federated, "pooled", metric, 0)
        assert value(alone, "pooled", metric, 0) == first


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_takes_the_steps_of_the_federation(experiment, baseline, kind):
    """ "the same total number of steps stated"."""
    wanted = estimate(experiment, make_setting(experiment, 3)).steps
    alone = baseline(kind)
    assert estimate(alone, make_setting(alone, 3)).steps == wanted
    assert simulate(alone, 3).summary["training"]["steps"] == wanted


def test_the_pool_is_all_training_rows_and_learns_from_them(experiment, baseline):
    setting = make_setting(baseline("central"), 3)
    shards = [setting.trainer_of(h).shard for h in range(4)]
    assert setting.pool is not None
    assert (setting.pool.shard.train_x == np.concatenate([s.train_x for s in shards])).all()
    outcome = simulate(baseline("central"), 3)
    assert value(outcome, "pooled", "auroc") > 0.95
    assert value(outcome, "pooled", "log_loss") < value(outcome, "pooled", "log_loss", 0)
    weights = [event.weight for event in outcome.events if isinstance(event, Trained)]
    assert weights == [setting.pool.examples] * 2


def test_a_local_model_knows_nothing_of_other_hospitals(baseline):
    """A hospital's metrics are those of its own training, round after round, and nothing else."""
    outcome = simulate(baseline("local"), 3)
    setting = make_setting(baseline("local"), 3)
    trainer = setting.trainer_of(0)
    arrays = setting.initial
    for number in (1, 2):
        arrays = trainer.train(arrays, number).arrays
    assert value(outcome, "hospital-00", "log_loss") == measure(*trainer.scores(arrays))["log_loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_baseline_accounts_for_every_hospital(baseline, kind):
    """Central: one larger data holder spends less of everybody than small ones of their own."""
    privacy = DpSgdParams(noise_multiplier=1.0, delta=1e-4)
    outcome = simulate(baseline(kind, privacy=privacy), 3)
    spent = [e for e in outcome.events if isinstance(e, PrivacySpent) and e.round == 2]
    assert [e.hospital for e in sorted(spent, key=lambda e: e.hospital)] == [0, 1, 2, 3]
    assert value(outcome, "max", "epsilon") == max(e.epsilon for e in spent)
    assert len({e.sampling_rate for e in spent}) == (1 if kind == "central" else 2)


def test_the_same_seed_gives_the_same_run(baseline):
    one, again = simulate(baseline("local"), 3), simulate(baseline("local"), 3)
    assert one.trace_digest == again.trace_digest
    assert simulate(baseline("local"), 4).trace_digest != one.trace_digest


@pytest.mark.parametrize("kind", KINDS)
def test_what_needs_a_federation_is_refused(experiment, kind):
    """One clear message: where, what, and what to do."""
    alone = dataclasses.replace(experiment, federation=KINDS[kind](rounds=2))
    (problem,) = contradictions(alone)
    assert problem.path == ("ledger", "kind")
    assert "use ledger: none" in problem.message
