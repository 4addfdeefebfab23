"""Whole runs under each protocol: what is learned does not depend on who orders the ledger."""

from __future__ import annotations

import dataclasses

import pytest

from simulation.base.tensors import model_root
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.registry import PROTOCOLS
from simulation.nodes.faults import CrashFault, RecoverFault
from simulation.runs.estimate import MESSAGES_PER_DECISION
from simulation.trace.events import BlockAppended, Reported, RoundClosed, TransactionExecuted
from simulation.world import simulate

OTHERS = sorted(set(PROTOCOLS) - {"pbft"})
SURVIVORS = sorted(set(PROTOCOLS) - {"sequencer"})
SUSPICIONS = {"view-change", "request-timeout", "equivocation"}

IMPATIENT = {
    "pbft": {"request_timeout_ms": 300.0},
    "hotstuff": {"round_timeout_ms": 300.0, "retransmit_ms": 60.0},
    "raft": {"election_timeout_ms": 300.0, "heartbeat_ms": 60.0},
}
"""Timeouts so short that a crash is noticed within the task."""


def only(outcome, kind):
    return [event for event in outcome.events if isinstance(event, kind)]


def under(experiment, name, **params):
    return dataclasses.replace(experiment, consensus=PROTOCOLS[name].params(**params))


@pytest.fixture(scope="module")
def reference():
    """The model that PBFT leads to."""
    from tests.world.conftest import small_experiment

    outcome = simulate(dataclasses.replace(small_experiment(), consensus=PbftParams()), 1)
    return model_root(outcome.arrays)


@pytest.mark.parametrize("name", OTHERS)
def test_the_model_is_that_of_pbft_bit_for_bit(experiment, reference, name):
    outcome = simulate(under(experiment, name), 1)

    assert model_root(outcome.arrays) == reference
    kinds = {message.kind for message in PROTOCOLS[name].messages}
    assert kinds & set(outcome.summary["messages"])
    assert "pre-prepare" not in outcome.summary["messages"]
    assert not SUSPICIONS & {report.what for report in only(outcome, Reported)}


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_every_transaction_is_on_equal_certified_ledgers_once(experiment, name):
    outcome = simulate(under(experiment, name), 2)

    heads = {(e.height, e.header) for e in only(outcome, BlockAppended)}
    assert len(heads) == len({height for height, _ in heads})
    kinds = [e.kind for e in only(outcome, TransactionExecuted) if e.accepted]
    assert kinds.count("task.commit") == experiment.federation.rounds * experiment.hospitals
    assert {"agreement", "certificates", "exactly-once"} <= set(outcome.invariants)


@pytest.mark.parametrize("memory", ["kept", "lost"])
@pytest.mark.parametrize("name", SURVIVORS)
def test_the_first_leader_crashes_and_the_rounds_go_on(experiment, name, memory):
    """The same fault schedule serves every protocol, and the crashed replica catches up."""
    calm = under(experiment, name, **IMPATIENT[name])
    faults = (
        CrashFault(at_ms=5, node=0, memory=memory),
        RecoverFault(at_ms=2_000, node=0),
    )
    outcome = simulate(dataclasses.replace(calm, faults=faults), 1)

    assert [e.outcome for e in only(outcome, RoundClosed)] == ["aggregated", "aggregated"]
    assert len({e.height for e in only(outcome, BlockAppended) if e.node == 0}) == max(
        e.height for e in only(outcome, BlockAppended)
    )


def test_the_cost_of_a_decision_is_known_for_each():
    """The estimate before a run names every protocol."""
    assert set(MESSAGES_PER_DECISION) == set(PROTOCOLS)
