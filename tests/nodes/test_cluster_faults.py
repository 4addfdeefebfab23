"""Faults by schedule: what breaks is what was asked for, and PBFT does what the paper says."""

from __future__ import annotations

import pytest

from simulation.consensus.pbft.params import PbftParams
from simulation.network.latency import ConstantLatency
from simulation.network.params import NetworkParams
from simulation.nodes.cluster import Cluster, Submission, every
from simulation.nodes.costs import FREE
from simulation.nodes.faults import (
    BehaveFault,
    CrashFault,
    HealFault,
    HoldFault,
    PartitionFault,
    RecoverFault,
    SlowFault,
    TwinsFault,
    WeatherFault,
)

TEN_MS = NetworkParams(latency=ConstantLatency(delay_ms=10), uplink_mbps=0, downlink_mbps=0)
QUICK = PbftParams(
    batch_max_age_ms=0, request_timeout_ms=500, client_retry_ms=300, retransmit_ms=200
)


@pytest.fixture
def world():
    """A cluster with faults; its trace is kept in ``events``."""

    def build(*faults, n=4, protocol=QUICK):
        events = []
        cluster = Cluster(protocol, n, TEN_MS, FREE, 1, faults=faults, record=events.append)
        return cluster, events

    return build


def logs(result):
    return [[(d.seq, d.digest) for d in log] for log in result.decisions]


def executed(result, replica):
    return sum(d.requests for d in result.decisions[replica])


def assert_one_history(result, replicas):
    longest = max((logs(result)[i] for i in replicas), key=len)
    for i in replicas:
        assert logs(result)[i] == longest[: len(logs(result)[i])]


def test_a_crashed_backup_is_silent_and_the_others_go_on(world):
    cluster, events = world(CrashFault(at_ms=0, node=3))
    cluster.schedule(every(50_000, 10, start_us=1))

    result = cluster.run(5_000_000)

    assert [len(log) for log in result.decisions] == [10, 10, 10, 0]
    assert result.busy_us[3] == 0
    assert [(e.what, e.replica, e.detail) for e in events if getattr(e, "what", "") == "fault"] == [
        ("fault", 3, "crash")
    ]


@pytest.mark.parametrize("memory", ["kept", "lost"])
def test_a_replica_that_recovers_catches_up(world, memory):
    cluster, _ = world(
        CrashFault(at_ms=120, node=2, memory=memory), RecoverFault(at_ms=700, node=2)
    )
    cluster.schedule(every(50_000, 30))

    result = cluster.run(20_000_000)

    assert [executed(result, i) for i in range(4)] == [30] * 4
    assert len(set(result.states)) == 1


def test_a_crashed_primary_is_replaced_and_every_request_is_executed(world):
    """§4.4: the view change provides liveness when the primary fails."""
    cluster, _ = world(CrashFault(at_ms=120, node=0))
    cluster.schedule([Submission(50_000 * i, 1 + i % 3) for i in range(20)])

    result = cluster.run(20_000_000)

    assert [executed(result, i) for i in (1, 2, 3)] == [20] * 3
    assert_one_history(result, range(4))
    assert {host.core.view for host in cluster.hosts[1:]} == {1}


def test_a_silent_primary_is_replaced_like_a_crashed_one(world):
    cluster, _ = world(BehaveFault(at_ms=0, node=0, behaviour=("silent",)))
    cluster.schedule([Submission(1 + 50_000 * i, 1 + i % 3) for i in range(6)])

    result = cluster.run(20_000_000)

    assert [executed(result, i) for i in (1, 2, 3)] == [6] * 3
    assert {host.core.view for host in cluster.hosts[1:]} == {1}


def test_an_equivocating_primary_splits_nobody(world):
    cluster, _ = world(BehaveFault(at_height=2, node=0, behaviour=("equivocate",)))
    cluster.schedule([Submission(50_000 * i, 1 + i % 3) for i in range(20)])

    result = cluster.run(60_000_000)

    assert_one_history(result, (1, 2, 3))
    assert [executed(result, i) for i in (1, 2, 3)] == [20] * 3


def test_a_doubled_primary_says_two_things_and_splits_nobody(world):
    """Twins: two honest copies with one identity equivocate; f = 1 is tolerated."""
    cluster, _ = world(TwinsFault(at_ms=0, node=0, peers=(2, 3)))
    cluster.schedule([Submission(1 + 50_000 * i, 1 + i % 3) for i in range(12)])

    result = cluster.run(60_000_000)

    assert_one_history(result, (1, 2, 3))
    assert [executed(result, i) for i in (1, 2, 3)] == [12] * 3
    assert {host.core.view for host in cluster.hosts[1:]} != {0}


def test_a_liar_that_becomes_honest_again_runs_its_honest_core(world):
    cluster, _ = world(BehaveFault(at_ms=0, node=3), BehaveFault(at_ms=100, node=3, behaviour=()))
    cluster.schedule(every(50_000, 4, start_us=1))

    result = cluster.run(5_000_000)

    # Two decisions without its votes, two with.
    votes = result.sent["prepare"].messages
    assert votes == 2 * (9 - 3) + 2 * 9


def test_a_minority_cannot_decide_and_joins_after_healing(world):
    cluster, _ = world(PartitionFault(at_ms=100, groups=((2, 3),)), HealFault(at_ms=3_000))
    cluster.schedule([Submission(120_000 + 10_000 * i, i % 4) for i in range(8)])

    cluster.clock.run(2_900_000)
    assert all(executed(cluster.result(), i) == 0 for i in range(4))
    result = cluster.run(60_000_000)

    assert [executed(result, i) for i in range(4)] == [8] * 4
    assert len(set(result.states)) == 1


def test_a_slow_node_is_slow_in_both_directions_until_it_is_fast_again(world):
    cluster, _ = world(
        SlowFault(at_ms=0, node=1, extra_ms=5), SlowFault(at_ms=100, node=1, extra_ms=0)
    )
    cluster.schedule((Submission(1, 0), Submission(200_000, 0)))

    result = cluster.run(5_000_000)

    # The slow backup hears everything 5 ms late; the other three decide without it.
    times = [[d.decided_us - d.proposed_us for d in log] for log in result.decisions]
    assert times == [[30_000, 30_000], [35_000, 30_000], [30_000, 30_000], [30_000, 30_000]]


def test_heal_ends_weather_holds_and_slowness(world):
    cluster, _ = world(
        WeatherFault(at_ms=0, loss=1.0),
        HoldFault(at_ms=0, node=0, to=1),
        SlowFault(at_ms=0, node=2, processor=9.0),
        HealFault(at_ms=50),
    )
    cluster.clock.run(60_000)

    assert cluster.network.weather.fair
    assert cluster.nodes[2].slowness == 1.0
    cluster.schedule((Submission(70_000, 0),))
    result = cluster.run(5_000_000)
    assert {d.decided_us - d.proposed_us for log in result.decisions for d in log} == {30_000}


def test_a_fault_at_a_height_happens_when_the_first_replica_decides_it(world):
    cluster, events = world(CrashFault(at_height=3, node=3))
    cluster.schedule(every(100_000, 5))

    result = cluster.run(5_000_000)

    faults = [e for e in events if getattr(e, "what", "") == "fault"]
    assert [e.t_us for e in faults] == [230_000]
    assert [len(log) for log in result.decisions[:3]] == [5, 5, 5]
    assert len(result.decisions[3]) <= 3


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: CrashFault(node=1), "at_ms: give exactly one of at_ms, at_height, at_round"),
        (lambda: CrashFault(node=1, at_ms=1, at_round=2), "at_ms: give exactly one"),
        (lambda: HealFault(at_ms=-1), "at_ms: a fault cannot happen before the start"),
        (lambda: WeatherFault(at_ms=1, loss=2), "loss: must be from 0 to 1"),
    ],
)
def test_bad_faults_name_the_field(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (CrashFault(at_ms=1, node=4), "node: there is no node 4; nodes are 0 to 3"),
        (PartitionFault(at_ms=1, groups=((0, 9),)), "node: there is no node 9"),
        (BehaveFault(at_ms=1, node=1, behaviour=("sing",)), "behaviour: unknown 'sing'; choose"),
    ],
)
def test_schedules_that_do_not_fit_the_federation_are_refused(world, fault, words):
    with pytest.raises(ValueError, match=words):
        world(fault)
