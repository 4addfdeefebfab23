"""Beyond what a protocol survives: announced before, shown with what conflicts, never a success."""

from __future__ import annotations

import dataclasses
import json

import pytest

from simulation.config.concerns import concerns
from simulation.consensus.pbft.params import PbftParams
from simulation.nodes.faults import BehaveFault, CrashFault, RecoverFault
from simulation.nodes.properties import PROPERTIES, PropertyViolation
from simulation.runs.execute import execute
from simulation.world import InvariantError, simulate

QUICK = PbftParams(request_timeout_ms=1_000, client_retry_ms=400, retransmit_ms=300)
LIES = ("split-evenly", "vote-to-each")


@pytest.fixture
def group(experiment):
    """The small task among n hospitals with a fault schedule."""

    def build(n, *faults, quorum="safe"):
        protocol = dataclasses.replace(QUICK, quorum=quorum)
        return dataclasses.replace(experiment, hospitals=n, consensus=protocol, faults=faults)

    return build


def lie(*replicas):
    return [BehaveFault(at_ms=0, node=replica, behaviour=LIES) for replica in replicas]


def test_every_run_says_which_properties_it_was_held_to(experiment):
    assert set(simulate(experiment, 1).invariants) == {*PROPERTIES, "liveness"}


def test_two_f_plus_one_of_eight_lets_two_replicas_decide_differently(group):
    """n = 8: two quorums of 2f + 1 = 5 may share two replicas, both of which may lie."""
    unsafe = group(8, *lie(0, 1), quorum="2f+1")

    assert "2f+1 is unsafe for n = 8" in concerns(unsafe)[0]
    with pytest.raises(PropertyViolation, match=r"agreement .* decided \w{8}, replica . decided"):
        simulate(unsafe, 1)


def test_the_safe_quorum_of_eight_survives_the_same_lies(group):
    safe = group(8, *lie(0, 1))

    assert concerns(safe) == []
    assert "agreement" in simulate(safe, 1).invariants


def test_with_more_than_f_liars_safety_breaks_and_is_shown(group):
    """With f + 1 Byzantine replicas safety breaks in a shown run."""
    broken = group(4, *lie(0, 1))

    assert (
        "up to 2 of n = 4 replicas are faulty at once, and pbft survives 1" in concerns(broken)[0]
    )
    with pytest.raises(PropertyViolation) as caught:
        simulate(broken, 1)
    violation = caught.value.violation
    assert violation.property == "agreement"
    assert violation.replica in (2, 3)


def test_with_more_than_f_silent_ones_the_run_ends_and_says_who_waits(group):
    """With f + 1 silent ones liveness stops: a report of who waits for what, not a hang."""
    mute = [BehaveFault(at_ms=0, node=node, behaviour=("silent",)) for node in (2, 3)]

    with pytest.raises(InvariantError) as caught:
        simulate(group(4, *mute), 1)

    said = str(caught.value)
    assert said.startswith("liveness: node 4 waits for its task.open")
    assert "hospital-01: height 0, view 1 not entered yet, leader 1" in said
    assert "hospital-03: height 0, view 1 not entered yet, leader 1, lies" in said
    assert "coordinator: height 0, waits for task.open 1" in said


def test_crashes_beyond_f_stop_the_run_as_well(group):
    faults = [CrashFault(at_height=1, node=node) for node in (1, 2)]
    with pytest.raises(InvariantError, match="hospital-01: down; hospital-02: down"):
        simulate(group(4, *faults), 1)


def test_faults_one_after_the_other_are_not_counted_together(group):
    rolling = [
        CrashFault(at_ms=0, node=1),
        RecoverFault(at_ms=900, node=1),
        CrashFault(at_ms=1_000, node=2),
    ]
    assert concerns(group(4, *rolling)) == []


def test_a_violation_is_a_failed_run_whose_manifest_has_both_warning_and_finding(group, tmp_path):
    """It never looks like a success."""
    result = execute(group(4, *lie(0, 1)), 1, tmp_path)

    assert result.failure is not None
    manifest = json.loads((result.directory / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "failed"
    assert manifest["exit_status"] == 1
    assert "survives 1" in manifest["warnings"][0]
    assert manifest["failure"]["message"].startswith("PropertyViolation: agreement at replica")
    assert "agreement at replica" in (result.directory / "FAILED").read_text(encoding="utf-8")
