"""Whole runs: what must hold between any two of them, and within each."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulation.base.tensors import model_root
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.sequencer.params import SequencerParams
from simulation.learning.params import ComputeParams, DpSgdParams, MlpParams, TrainingParams
from simulation.ledger.copy import LedgerCopy
from simulation.nodes.costs import CryptoCosts
from simulation.nodes.hospital import HospitalError
from simulation.nodes.ledger_sync import LedgerSync
from simulation.nodes.messages import Fetch, Fetched
from simulation.nodes.node import Node
from simulation.nodes.params import HashOnlyLedger, NoLedger
from simulation.nodes.sealing import Sealing
from simulation.nodes.shelf import Shelf
from simulation.trace.events import (
    BlockAppended,
    Measured,
    PhaseEnded,
    PrivacySpent,
    RoundClosed,
    TransactionExecuted,
    UpdateChecked,
    UpdateLate,
)
from simulation.world import make_setting, simulate

ROOT = Path(__file__).parents[2]


def only(outcome, kind):
    return [event for event in outcome.events if isinstance(event, kind)]


def test_the_model_is_the_same_with_and_without_consensus(experiment):
    """With consensus and without, the learned model is the same, bit for bit, when none is late."""
    private = dataclasses.replace(
        experiment, model=MlpParams(hidden=(4,)), privacy=DpSgdParams(noise_multiplier=1.0)
    )
    with_ledger = simulate(private, 7)
    without = simulate(dataclasses.replace(private, ledger=NoLedger()), 7)
    assert model_root(with_ledger.arrays) == model_root(without.arrays)
    assert with_ledger.virtual_us > without.virtual_us


def test_another_seed_gives_another_run(experiment):
    first, again, other = (simulate(experiment, seed) for seed in (1, 1, 2))
    assert first.trace_digest == again.trace_digest
    assert first.metrics == again.metrics
    assert first.trace_digest != other.trace_digest
    assert model_root(first.arrays) != model_root(other.arrays)


SCRIPT = """
import dataclasses, sys
from tests.world.conftest import small_experiment
from simulation.world import make_setting, simulate
print(simulate(small_experiment(), 5).trace_digest)
"""


def test_the_trace_digest_survives_another_process_and_hash_seed():
    """Same configuration and seed: equal digest in another process, under another hash seed."""
    digests = set()
    for hash_seed in ("0", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.add(result.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_every_hospital_keeps_an_equal_certified_ledger(experiment):
    outcome = simulate(experiment, 1)
    heads = {(e.height, e.header) for e in only(outcome, BlockAppended)}
    heights = [height for height, _ in heads]
    assert len(heights) == len(set(heights)), "one header at each height, whoever appended it"
    assert outcome.summary["ledger"]["copies"] == 5
    assert {"agreement", "certificates"} <= set(outcome.invariants)


def test_hospitals_outside_the_replica_set_follow_certified_blocks(experiment):
    """The replica set may be smaller than the set of hospitals; the others follow."""
    committee = dataclasses.replace(experiment, hospitals=6, consensus=PbftParams(replicas=4))
    outcome = simulate(committee, 3)
    by_node = {e.node: e.height for e in only(outcome, BlockAppended)}
    assert set(by_node) == set(range(7))
    assert len(set(by_node.values())) == 1
    assert only(outcome, RoundClosed)[-1].accepted == 6
    checked = {(e.by, e.hospital) for e in only(outcome, UpdateChecked)}
    coordinator = 6
    assert checked == {
        (node, h) for node in (0, 1, 2, 3, coordinator) for h in range(6) if node != h
    }, "an update goes to those who vote on it"
    assert outcome.summary["messages"]["block"]["messages"] > 0


def test_an_update_can_be_opened_by_those_who_vote_on_it_and_no_other_hospital(
    experiment, monkeypatch
):
    """Its key is wrapped for the replicas and the coordinator, besides the auditor."""
    readers, wrapping = {}, Sealing._wrap

    def noting(self, key, receiver, *rest):
        readers.setdefault((self._node.id, key), set()).add(receiver)
        return wrapping(self, key, receiver, *rest)

    monkeypatch.setattr(Sealing, "_wrap", noting)
    committee = dataclasses.replace(experiment, hospitals=6, consensus=PbftParams(replicas=4))
    simulate(committee, 3)

    voting = {0, 1, 2, 3, 6}
    assert {owner for owner, _ in readers} == set(range(6))
    assert all(found == voting - {owner} for (owner, _), found in readers.items())


@pytest.fixture
def checked(monkeypatch):
    """How many signatures each check has that is not that of a message on its arrival."""
    found, checking_us = [], CryptoCosts.checking_us

    def noting(self, signatures, *hashed_bytes):
        if not hashed_bytes:
            found.append(signatures)
        return checking_us(self, signatures, *hashed_bytes)

    monkeypatch.setattr(CryptoCosts, "checking_us", noting)
    return found


def test_a_follower_pays_for_the_certificate_of_a_block_once(experiment, checked):
    """f + 1 replicas send it each block, so that one of them is honest; a copy of a block that it
    has costs its sender's signature, and no certificate."""
    outcome = simulate(experiment, 1)

    height, quorum, feeders = outcome.summary["ledger"]["height"], 3, 2
    assert outcome.summary["messages"]["block"]["messages"] == feeders * height
    assert checked == [quorum] * height


def test_a_node_pays_for_a_certificate_that_it_has_missed(experiment, checked, monkeypatch):
    """Where messages get lost, certificates are asked for, and checked by whoever lacks them."""
    lacked, followed = [], []
    on_block, follow = LedgerSync.on_block, LedgerCopy.follow

    def noting(self, sender, pushed):
        lacked.append(self._side.copy.certificate(pushed.block.header.height) is None)
        on_block(self, sender, pushed)

    def following(self, *block):
        followed.append(True)
        return follow(self, *block)

    monkeypatch.setattr(LedgerSync, "on_block", noting)
    monkeypatch.setattr(LedgerCopy, "follow", following)
    lossy = dataclasses.replace(experiment.network, loss=0.05)
    simulate(dataclasses.replace(experiment, network=lossy), 1)

    assert {True, False} == set(lacked)
    assert len(checked) == sum(lacked) + len(followed)
    assert min(checked) == 3, "a quorum at least"


@pytest.mark.parametrize(("asker", "gets"), [(5, False), (0, True), (1, True), (6, True)])
def test_a_holder_hands_an_update_to_its_owner_and_to_those_who_check_it(
    experiment, monkeypatch, asker, gets
):
    """A hospital that does not vote cannot ask its way to what it is not sent; the owner (0), a
    replica and the coordinator (6) can."""
    committee = dataclasses.replace(experiment, hospitals=6, consensus=PbftParams(replicas=4))
    handed, asked, keep, send = [], [], Shelf.keep, Node.send

    def keep_and_ask(self, update, sealed):
        keep(self, update, sealed)
        if self.ledger.node.id == 2 and (update.round, update.hospital) == (1, 0) and not asked:
            asked.append(True)
            self._on_fetch(asker, Fetch(1, 0))

    def noting(self, dst, message):
        if isinstance(message, Fetched):
            handed.append((self.id, dst))
        send(self, dst, message)

    monkeypatch.setattr(Shelf, "keep", keep_and_ask)
    monkeypatch.setattr(Node, "send", noting)
    simulate(committee, 3)

    assert asked
    assert handed == [(2, asker)] * gets


def test_the_round_goes_the_same_way_under_another_protocol(experiment):
    pbft = simulate(experiment, 1)
    ordered = dataclasses.replace(experiment, consensus=SequencerParams())
    sequencer = simulate(ordered, 1)
    assert model_root(pbft.arrays) == model_root(sequencer.arrays)
    assert "pre-prepare" not in sequencer.summary["messages"]


def test_each_transaction_of_a_round_is_on_the_ledger_once(experiment):
    outcome = simulate(experiment, 1)
    kinds = [e.kind for e in only(outcome, TransactionExecuted) if e.accepted]
    rounds = experiment.federation.rounds
    assert kinds.count("task.open") == rounds
    for kind in ("task.commit", "task.reveal", "task.confirm"):
        assert kinds.count(kind) == rounds * experiment.hospitals
    assert kinds.count("task.aggregate") == rounds


def test_phases_of_a_hospital_follow_each_other(experiment):
    """The phases of a round tile its time, but for the wait until the others have committed."""
    outcome = simulate(experiment, 1)
    mine = [e for e in only(outcome, PhaseEnded) if (e.hospital, e.round) == (2, 1)]
    told = ["download", "consensus", "train", "consensus", "upload", "consensus"]
    assert [e.phase for e in mine] == told
    for before, after in itertools.pairwise(mine):
        if after.phase == "upload":
            assert after.start_us >= before.t_us
        else:
            assert after.start_us == before.t_us


def test_privacy_is_that_of_the_whole_history(experiment):
    private = dataclasses.replace(experiment, privacy=DpSgdParams(epsilon=3.0))
    spent = [e.epsilon for e in only(simulate(private, 1), PrivacySpent) if e.hospital == 0]
    assert len(spent) == 2
    assert spent[0] < spent[1] <= 3.0
    assert spent[1] < 2 * spent[0], "the epsilons of rounds are never added"


def test_a_late_update_is_not_used_and_the_round_goes_on(experiment, vary):
    """Deadlines are virtual time: a slow hospital misses its round, visibly."""
    slow = dataclasses.replace(
        vary(round_deadline_s=0.4, rounds=3), compute=ComputeParams(speed_spread=1.5)
    )
    outcome = simulate(slow, 1)
    closed = only(outcome, RoundClosed)
    assert len(closed) == 3
    assert any(e.late for e in closed)
    assert all(e.accepted + e.late == 4 for e in closed)
    assert only(outcome, UpdateLate)


def test_a_round_below_its_quorum_is_void_and_keeps_the_model(vary):
    outcome = simulate(vary(round_deadline_s=0.001), 1)
    assert [e.outcome for e in only(outcome, RoundClosed)] == ["void", "void"]
    start, end = (
        {(e.scope, e.metric): e.value for e in only(outcome, Measured) if e.round == number}
        for number in (0, 2)
    )
    assert start
    assert {key: end[key] for key in start} == start


def test_an_exception_in_a_client_app_names_hospital_round_and_time(vary):
    foreign = vary(
        client_app="tests.world.foreign_apps:failing_client_app",
        strategy_args={"fraction_evaluate": 0.0},
    )
    with pytest.raises(HospitalError, match="disk is full") as caught:
        simulate(foreign, 1)
    assert (caught.value.hospital, caught.value.round) == (2, 2)
    assert caught.value.t_us > 0
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_all_checks_of_honest_updates_succeed(experiment):
    checks = only(simulate(experiment, 1), UpdateChecked)
    assert all(e.accepted for e in checks)
    assert len(checks) == 2 * 4 * 4, "each update by three other hospitals and the coordinator"


def test_verifying_by_the_coordinator_alone_is_a_choice(experiment):
    quiet = dataclasses.replace(
        experiment, ledger=HashOnlyLedger(store="memory", verifiers="coordinator")
    )
    assert {e.by for e in only(simulate(quiet, 1), UpdateChecked)} == {4}


def test_fedprox_pulls_the_model_to_the_base(vary):
    free = simulate(vary(strategy="FedProx", strategy_args={"proximal_mu": 0.0}), 1)
    held = simulate(vary(strategy="FedProx", strategy_args={"proximal_mu": 5.0}), 1)
    distance = [float(np.abs(outcome.arrays["output.weight"]).sum()) for outcome in (free, held)]
    assert distance[0] != distance[1]


def test_what_is_odd_about_the_records_is_said_beside_the_result(experiment):
    """Scaling that is not private, and hospitals with fewer training rows than a batch, with counts
    and what was done."""
    notes = make_setting(experiment, 1).notes
    assert any(note.startswith("normalisation: site") for note in notes)
    assert not any("batch" in note for note in notes)
    wide = dataclasses.replace(experiment, training=TrainingParams(batch_size=500))
    (note,) = [note for note in make_setting(wide, 1).notes if "batch" in note]
    assert note.startswith("training.batch_size: 4 of 4 hospitals have fewer training rows than a")
    assert note.endswith("all their rows are their batch")
