"""Faults in a whole run: what breaks, who notices, and that the ledgers end equal all the same."""

from __future__ import annotations

import dataclasses

import pytest

from simulation.base.tensors import model_root
from simulation.consensus.pbft.params import PbftParams
from simulation.ledger.chain import SqliteStore
from simulation.network.latency import ConstantLatency
from simulation.network.params import NetworkParams
from simulation.nodes.faults import (
    BehaveFault,
    CrashFault,
    HealFault,
    PartitionFault,
    RecoverFault,
    SlowFault,
)
from simulation.nodes.params import CommitRevealLedger
from simulation.trace.events import (
    BlockAppended,
    BlockCertified,
    Decided,
    Reported,
    RoundClosed,
    Trained,
    TransactionSubmitted,
)
from simulation.world import World, make_setting, simulate

QUICK = PbftParams(request_timeout_ms=1_000, client_retry_ms=400, retransmit_ms=300)
STILL = NetworkParams(latency=ConstantLatency(delay_ms=10))


@pytest.fixture
def faulty(vary):
    """The small task with a fault schedule, quick timers and a short deadline."""

    def build(*faults, rounds=2, deadline_s=30.0, **changes):
        params = {"consensus": QUICK, "network": STILL, "faults": faults} | changes
        task = vary(rounds=rounds, round_deadline_s=deadline_s)
        return dataclasses.replace(task, **params)

    return build


def only(outcome, kind):
    return [event for event in outcome.events if isinstance(event, kind)]


def reported(outcome, what):
    return [event for event in only(outcome, Reported) if event.what == what]


def heights(outcome):
    """The last height that each node's copy appended."""
    return {event.node: event.height for event in only(outcome, BlockAppended)}


def views(outcome):
    return {event.view for event in only(outcome, Decided)}


def test_a_crashed_backup_misses_its_rounds_and_the_others_go_on(faulty):
    outcome = simulate(faulty(CrashFault(at_ms=0, node=3)), 1)

    assert [(e.accepted, e.late) for e in only(outcome, RoundClosed)] == [(3, 1), (3, 1)]
    assert {e.hospital for e in only(outcome, Trained)} == {0, 1, 2}
    assert set(heights(outcome)) == {0, 1, 2, 4}
    assert "liveness" in outcome.invariants


def test_a_crashed_primary_is_replaced_and_the_round_completes(faulty):
    """§4.4: the view-change protocol provides liveness when the primary fails."""
    outcome = simulate(faulty(CrashFault(at_round=1, node=0)), 1)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [3, 3]
    assert max(views(outcome)) >= 1
    assert reported(outcome, "new-view")


@pytest.mark.parametrize("memory", ["kept", "lost"])
@pytest.mark.parametrize("node", [0, 2])
def test_a_hospital_restarts_from_its_ledger_file_and_catches_up(faulty, tmp_path, memory, node):
    """It ends with the blocks and the certificates that were made while it was down."""
    outcome = simulate(
        faulty(
            CrashFault(at_height=2, node=node, memory=memory),
            RecoverFault(at_round=2, node=node),
            rounds=3,
            ledger=CommitRevealLedger(store="sqlite"),
        ),
        1,
        tmp_path,
    )

    closed = only(outcome, RoundClosed)
    assert [e.accepted for e in closed] == [3, 4, 4]
    top = outcome.summary["ledger"]["height"]
    assert set(heights(outcome).values()) == {top}
    store = SqliteStore(tmp_path / "ledger" / f"hospital-{node:02d}.sqlite")
    assert store.height == top
    assert all(store.certificate(height) is not None for height in range(1, top + 1))
    store.close()


def test_what_was_certified_while_it_was_down_is_asked_for(faulty):
    """A certificate proves its block, so it may come from anybody."""
    outcome = simulate(
        faulty(CrashFault(at_height=2, node=3), RecoverFault(at_ms=40_000, node=3)), 1
    )

    assert outcome.summary["messages"]["ask-blocks"]["messages"] > 0
    mine = {e.height for e in only(outcome, BlockCertified) if e.node == 3}
    assert mine == set(range(1, outcome.summary["ledger"]["height"] + 1))


def moment(task, kind, **fields):
    """When an event of this kind first happens without faults, in ms."""
    for event in only(simulate(dataclasses.replace(task, faults=()), 1), kind):
        if all(getattr(event, name) == value for name, value in fields.items()):
            return event.t_us / 1_000
    raise AssertionError("it never happens")


def test_a_transaction_that_was_lost_in_a_crash_is_submitted_again(faulty):
    """A member's sequence numbers have no gaps, so what was signed has to reach the ledger."""
    at_ms = moment(faulty(rounds=3), TransactionSubmitted, node=2)
    lost = [
        PartitionFault(at_ms=at_ms - 1, groups=((2,),)),
        CrashFault(at_ms=at_ms + 1, node=2, memory="lost"),
        HealFault(at_ms=at_ms + 2),
        RecoverFault(at_ms=at_ms + 5_000, node=2),
    ]

    outcome = simulate(faulty(*lost, rounds=3), 1)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [3, 4, 4]


def test_a_hospital_that_is_down_does_not_train(faulty):
    """What it was working on is lost, whatever else it remembers."""
    at_ms = moment(faulty(), Trained, hospital=2)
    gone = [CrashFault(at_ms=at_ms - 1, node=2), RecoverFault(at_ms=at_ms + 10, node=2)]

    outcome = simulate(faulty(*gone), 1)

    assert [(e.accepted, e.late) for e in only(outcome, RoundClosed)] == [(3, 1), (4, 0)]
    assert [e.round for e in only(outcome, Trained) if e.hospital == 2] == [2]


@pytest.mark.parametrize(("memory", "same"), [("kept", True), ("lost", False)])
def test_a_forgetful_node_reads_its_ledger_again(faulty, memory, same):
    task = faulty(CrashFault(at_height=2, node=2, memory=memory), RecoverFault(at_ms=5_000, node=2))
    world = World(task, 1, make_setting(task, 1), None, (), {})
    before = world.ledgers.services[2].copy

    world.run()

    assert (world.ledgers.services[2].copy is before) == same


def test_a_replica_that_hears_nothing_more_finds_out_what_it_missed(faulty, monkeypatch):
    """It learns from its ledger that others are ahead, and has its core ask them."""
    task = faulty(PartitionFault(at_round=2, groups=((3,),)))
    world = World(task, 1, make_setting(task, 1), None, (), {})
    judge = world._judge

    def heal_first():
        assert world.ledgers.services[3].copy.height < world.ledgers.services[0].copy.height
        world.network.weather.heal()
        return judge()

    monkeypatch.setattr(world, "_judge", heal_first)
    outcome = world.run()

    assert heights(outcome)[3] == outcome.summary["ledger"]["height"]


def test_an_order_that_comes_twice_is_carried_out_once(faulty):
    """To train twice would spend the privacy budget twice."""
    outcome = simulate(faulty(network=dataclasses.replace(STILL, duplicate=0.8)), 1)

    trained = [(e.round, e.hospital) for e in only(outcome, Trained)]
    assert sorted(trained) == [(number, hospital) for number in (1, 2) for hospital in range(4)]


def test_a_partition_heals_and_no_update_is_late(faulty):
    """Agreement holds throughout; the minority catches up when the network is whole again."""
    calm = simulate(faulty(), 1)
    cut = [PartitionFault(at_round=1, groups=((3,),)), HealFault(at_ms=4_000)]

    outcome = simulate(faulty(*cut), 1)

    assert [e.late for e in only(outcome, RoundClosed)] == [0, 0]
    assert set(heights(outcome).values()) == {outcome.summary["ledger"]["height"]}
    assert model_root(outcome.arrays) == model_root(calm.arrays)


def test_a_partition_without_a_quorum_decides_nothing_until_it_heals(faulty):
    cut = [PartitionFault(at_round=1, groups=((0, 1),)), HealFault(at_ms=9_000)]

    outcome = simulate(faulty(*cut), 1)

    during = [e for e in only(outcome, Decided) if 500_000 < e.t_us < 9_000_000]
    assert during == []
    assert only(outcome, RoundClosed)[-1].accepted == 4


def test_a_node_that_is_cut_off_to_the_end_is_not_waited_for(faulty):
    """Nothing is promised of a node that no message reaches."""
    outcome = simulate(faulty(PartitionFault(at_round=2, groups=((1,),))), 1)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 3]
    assert heights(outcome)[1] < outcome.summary["ledger"]["height"]


def test_a_slow_node_delays_and_changes_nothing(faulty):
    calm = simulate(faulty(), 1)

    outcome = simulate(faulty(SlowFault(at_ms=0, node=2, extra_ms=400, processor=5)), 1)

    assert model_root(outcome.arrays) == model_root(calm.arrays)
    assert outcome.virtual_us > calm.virtual_us + 400_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_per_cent_loss_delays_and_changes_nothing(faulty, seed):
    """Whoever sends repeats: consensus its votes, ledgers questions, hospitals models."""
    calm = simulate(faulty(), seed)

    lossy = faulty(network=dataclasses.replace(STILL, loss=0.05), deadline_s=300)
    outcome = simulate(lossy, seed)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [4, 4]
    assert model_root(outcome.arrays) == model_root(calm.arrays)


def test_followers_submit_and_follow_through_loss(faulty):
    lossy = faulty(
        network=dataclasses.replace(STILL, loss=0.15, duplicate=0.1, reorder=0.1),
        hospitals=6,
        consensus=dataclasses.replace(QUICK, replicas=4),
        deadline_s=300,
    )

    outcome = simulate(lossy, 1)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [6, 6]
    assert set(heights(outcome)) == set(range(7))


@pytest.mark.parametrize("memory", ["kept", "lost"])
def test_a_follower_restarts_as_well(faulty, tmp_path, memory):
    task = faulty(
        CrashFault(at_height=2, node=5, memory=memory),
        RecoverFault(at_round=2, node=5),
        hospitals=6,
        consensus=dataclasses.replace(QUICK, replicas=4),
        ledger=CommitRevealLedger(),
        rounds=3,
    )

    outcome = simulate(task, 1, tmp_path)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [5, 6, 6]
    assert set(heights(outcome).values()) == {outcome.summary["ledger"]["height"]}


@pytest.mark.parametrize("hospitals", [4, 7])
@pytest.mark.parametrize("liar", [0, 3])
def test_an_equivocating_replica_changes_nothing(faulty, hospitals, liar):
    """f = 1 of n = 4, and one liar of n = 7: the model is that of the honest run."""
    calm = simulate(faulty(hospitals=hospitals), 1)
    lie = BehaveFault(at_ms=0, node=liar, behaviour=("equivocate",))

    outcome = simulate(faulty(lie, hospitals=hospitals, deadline_s=300), 1)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [hospitals, hospitals]
    assert model_root(outcome.arrays) == model_root(calm.arrays)


@pytest.mark.parametrize("hospitals", [4, 7])
@pytest.mark.parametrize("liar", [0, 3])
def test_a_silent_replica_costs_its_own_hospital_only(faulty, hospitals, liar):
    """A hospital believes its own replica: when that says nothing, its commitments go nowhere."""
    mute = BehaveFault(at_ms=0, node=liar, behaviour=("silent",))

    outcome = simulate(faulty(mute, hospitals=hospitals), 1)

    assert [e.accepted for e in only(outcome, RoundClosed)] == [hospitals - 1] * 2
    assert (max(views(outcome)) > 0) == (liar == 0)


def test_the_same_faults_give_the_same_run(faulty):
    task = faulty(
        CrashFault(at_height=3, node=2, memory="lost"),
        RecoverFault(at_ms=3_000, node=2),
        network=dataclasses.replace(STILL, loss=0.05),
    )

    assert simulate(task, 5).trace_digest == simulate(task, 5).trace_digest
