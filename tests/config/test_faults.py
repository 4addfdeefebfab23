"""The fault schedule in a configuration: a list of kinds, judged against everything else."""

from __future__ import annotations

import pytest

from simulation.config.dump import to_yaml
from simulation.config.load import load
from simulation.nodes.faults import BehaveFault, CrashFault, PartitionFault
from tests.config.conftest import MINIMAL

FAULTS = """\
faults:
  - kind: crash
    at_round: 2
    node: 1
    memory: lost
  - {kind: partition, at_ms: 100, groups: [[0, 1], [2]]}
  - {kind: behave, at_height: 3, node: 6, behaviour: [equivocate]}
"""


def test_a_schedule_is_read_in_its_order(loaded):
    assert loaded(text=MINIMAL + FAULTS).faults == (
        CrashFault(at_round=2, node=1, memory="lost"),
        PartitionFault(at_ms=100, groups=((0, 1), (2,))),
        BehaveFault(at_height=3, node=6, behaviour=("equivocate",)),
    )


def test_a_resolved_schedule_reads_back_to_the_same(loaded, tmp_path):
    experiment = loaded(text=MINIMAL + FAULTS)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(experiment), encoding="utf-8")

    assert load(again) == experiment


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("{at_ms: 1, node: 0}", "faults[0].kind: is missing; choose one of crash, recover"),
        ("{kind: crash, node: 0}", "faults[0].at_ms: give exactly one of at_ms"),
        ("{kind: crash, at_ms: 1, at_round: 1, node: 0}", "faults[0].at_ms: give exactly one of"),
        ("{kind: crash, at_ms: 1, node: 9}", "there is no node 9; nodes are 0 to 7"),
        ("{kind: crash, at_ms: 1, node: 7}", "faults[0].node: node 7 is the coordinator"),
        ("{kind: crash, at_round: 11, node: 0}", "faults[0].at_round: rounds are 1 to 10, got 11"),
        ("{kind: crash, at_height: 0, node: 0}", "faults[0].at_height: the first block has"),
        ("{kind: heal, at_ms: 1, node: 0}", "faults[0].node: belongs to kind: "),
        ("{kind: twins, at_ms: 1, node: 99, peers: [1]}", "there is no node 99"),
        ("{kind: twins, at_ms: 1, node: 0, peers: [98]}", "there is no node 98"),
        ("{kind: behave, at_ms: 1, node: 0, behaviour: [shout]}", "unknown behaviour 'shout'"),
        ("{kind: partition, at_ms: 1, groups: [0]}", "faults[0].groups"),
    ],
)
def test_a_fault_that_cannot_happen_is_refused_with_its_place(refusal, fault, message):
    assert message in refusal(text=f"{MINIMAL}faults:\n  - {fault}\n")


def test_the_schedule_is_held_against_ledger_and_protocol(refusal):
    at_height = "faults:\n  - {kind: crash, at_height: 1, node: 0}\n"
    assert "there is no ledger" in refusal("ledger=none", text=MINIMAL + at_height)
    forgets = "faults:\n  - {kind: crash, at_ms: 1, node: 0, memory: lost}\n"
    assert "keeps nothing durable" in refusal("consensus=sequencer", text=MINIMAL + forgets)
    lies = "faults:\n  - {kind: behave, at_ms: 1, node: 5}\n"
    assert "5 is no replica" in refusal("consensus.replicas=4", text=MINIMAL + lies)


def test_a_schedule_is_a_list(refusal):
    assert "faults: must be a list of sections" in refusal("faults=crash")
