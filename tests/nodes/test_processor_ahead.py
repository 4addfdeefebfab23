"""Messages taken before their time save events and change no result."""

from __future__ import annotations

from copy import deepcopy

import pytest

from simulation.base.rng import Streams
from simulation.consensus.pbft.messages import Status, commit, prepare
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.pbft.replica import PbftReplica
from simulation.consensus.signing import _SEAL, Signer
from simulation.network.clock import Clock
from simulation.network.latency import ConstantLatency, GammaLatency
from simulation.network.network import Network
from simulation.network.params import NetworkParams
from simulation.nodes.cluster import Cluster, every
from simulation.nodes.costs import FREE, CryptoCosts
from simulation.nodes.faults import (
    BehaveFault,
    CrashFault,
    HealFault,
    HoldFault,
    PartitionFault,
    RecoverFault,
    SlowFault,
)
from simulation.nodes.node import Node
from simulation.nodes.processor import Processor
from simulation.runs.provenance import is_compiled
from simulation.trace.recorder import event_line

NATIONAL = NetworkParams()
NARROW = NetworkParams(uplink_mbps=5, downlink_mbps=5)
LOSSY = NetworkParams(loss=0.02, duplicate=0.02, reorder=0.1)
GAMMA = NetworkParams(latency=GammaLatency(floor_ms=3, mean_ms=9, shape=2))
SPREAD = NetworkParams(latency=GammaLatency(floor_ms=0.5, mean_ms=15, shape=1))
CRASHES = (
    CrashFault(at_ms=83.111, node=3, memory="lost"),
    CrashFault(at_ms=131.017, node=2),
    RecoverFault(at_ms=190.5, node=2),
    RecoverFault(at_ms=400.25, node=3),
)
TROUBLE = (
    SlowFault(at_ms=61.7, node=1, processor=4.0, extra_ms=2),
    HoldFault(at_ms=95.2, node=1, to=2),
    PartitionFault(at_ms=140.3, groups=((3,),)),
    HealFault(at_ms=300.9),
)
LIES = (BehaveFault(at_ms=77.7, node=2, behaviour=("repeat",)),)


def cluster(network, faults=(), costs=None, seed=1, n=7):
    events = []
    protocol = PbftParams(batch_max_age_ms=0, checkpoint_interval=16, window=32)
    made = Cluster(
        protocol, n, network, costs or CryptoCosts(), seed, faults=faults, record=events.append
    )
    made.schedule(every(7_000, 40, 0, 500))
    made.schedule(every(9_001, 30, 4, 500))
    return made, events


def outcome(made, events):
    """All that a run shows; what happens in the same microsecond may happen in any order."""
    result = made.result()
    lines = sorted(event_line(event) for event in events)
    return (
        result.end_us,
        result.decisions,
        result.states,
        sorted(result.latencies, key=repr),
        result.sent,
        result.delivered,
        result.dropped,
        result.in_flight,
        result.busy_us,
        lines,
    )


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("network", "faults"),
    [
        (NATIONAL, ()),
        (NARROW, ()),
        (GAMMA, CRASHES),
        (LOSSY, TROUBLE),
        (NATIONAL, CRASHES),
        (NATIONAL, TROUBLE),
        (NATIONAL, LIES),
    ],
)
def test_a_run_is_the_same_with_and_without_looking_ahead(monkeypatch, network, faults, seed):
    ahead, ahead_events = cluster(network, faults, seed=seed)
    ahead.run(20_000_000)

    monkeypatch.setattr(Processor, "look_ahead", lambda *_: None)
    plain, plain_events = cluster(network, faults, seed=seed)
    plain.run(20_000_000)

    assert outcome(ahead, ahead_events) == outcome(plain, plain_events)


@pytest.mark.parametrize("faults", [(), CRASHES])
def test_looking_further_ahead_than_is_safe_costs_time_but_changes_nothing(monkeypatch, faults):
    """What is overtaken is given back, so results rest on no promise about delays."""
    far, far_events = cluster(SPREAD, faults)
    for node, host in zip(far.nodes, far.hosts, strict=True):
        node._farthest_us = 10**9
        host.install(host.core)
    far.run()

    monkeypatch.setattr(Processor, "look_ahead", lambda *_: None)
    plain, plain_events = cluster(SPREAD, faults)
    plain.run()

    assert outcome(far, far_events) == outcome(plain, plain_events)


def test_a_run_that_is_looked_at_all_the_time_is_the_same(monkeypatch):
    """Counts and busy times at any instant are those of a run without looking ahead."""
    looked, looked_events = cluster(NATIONAL)
    monkeypatch.setattr(Processor, "look_ahead", lambda *_: None)
    plain, plain_events = cluster(NATIONAL)

    for t_us in range(10_007, 200_000, 1_313):
        looked.run(t_us)
        plain.run(t_us)
        assert outcome(looked, looked_events) == outcome(plain, plain_events)


def test_a_run_without_faults_takes_most_votes_early(monkeypatch):
    taken, back = [0], [0]
    absorb, give_back = PbftReplica.absorb, PbftReplica.give_back

    def counted(self, sender, message):
        took = absorb(self, sender, message)
        taken[0] += took
        return took

    def returned(self, sender, message):
        back[0] += 1
        give_back(self, sender, message)

    monkeypatch.setattr(PbftReplica, "absorb", counted)
    monkeypatch.setattr(PbftReplica, "give_back", returned)
    made, _ = cluster(NATIONAL, n=16)
    made.run()

    votes = sum(made.result().sent[kind].messages for kind in ("prepare", "commit"))
    assert taken[0] - back[0] > 0.6 * votes
    assert back[0] < 0.2 * votes


@pytest.mark.skipif(is_compiled(), reason="mypyc has no deep copies of what it compiles")
@pytest.mark.parametrize("costs", [None, FREE])
def test_what_is_absorbed_would_have_had_no_effect_and_can_be_forgotten(monkeypatch, costs):
    """The promise of `Absorbing`, held against `receive` on a copy of the replica."""
    absorb, seen = PbftReplica.absorb, [0, 0]

    def copy(replica):
        return deepcopy(replica, {id(_SEAL): _SEAL})  # copies of signatures stay genuine

    def state(replica):
        return {
            seq: (e.prepare_from, e.commit_from, e.prepares, e.commits, e.prepared, e.committed)
            for seq, e in replica.log.items()
        }

    def checked(self, sender, message):
        before, twin = copy(self), copy(self)
        took = absorb(self, sender, message)
        seen[took] += 1
        if took:
            assert not twin.receive(sender, message, self.now_us)
            assert repr(state(twin)) == repr(state(self))
            again = copy(self)
            again.give_back(sender, message)
            assert repr(state(again)) == repr(state(before))
        else:
            assert repr(state(self)) == repr(state(before))
        return took

    monkeypatch.setattr(PbftReplica, "absorb", checked)
    network = NetworkParams(latency=ConstantLatency(delay_ms=5))
    made = Cluster(PbftParams(batch_max_age_ms=0), 4, network, costs or CryptoCosts(), 1)
    made.schedule(every(6_000, 12))
    made.run()

    assert min(seen) > 20
    assert all(len(log) == 12 for log in made.result().decisions)


def test_only_plain_votes_of_this_view_are_absorbed():
    core = PbftReplica(1, 7, PbftParams())
    digest = b"d" * 32
    core.receive(2, prepare(Signer(2), 0, 1, digest), 0)
    core.receive(2, commit(Signer(2), 0, 1, digest), 0)

    assert not core.absorb(0, prepare(Signer(0), 0, 1, digest))  # the primary sends none
    assert not core.absorb(3, commit(Signer(3), 1, 1, digest))  # of another view
    assert not core.absorb(3, commit(Signer(0), 0, 1, digest))  # signed by somebody else
    assert not core.absorb(7, commit(Signer(7), 0, 1, digest))  # by no replica
    assert not core.absorb(2, commit(Signer(2), 0, 1, digest))  # a second time
    assert not core.absorb(3, commit(Signer(3), 0, 9, digest))  # of what is not in the log
    assert not core.absorb(3, Status(0, True, 0, 0))
    assert core.absorb(3, commit(Signer(3), 0, 1, digest))


def test_the_clock_runs_until_the_last_early_message_is_done():
    clock, counted = Clock(), []

    def absorb(_sender, _message):
        counted.append(clock.now)
        return True

    still = NetworkParams(latency=ConstantLatency(delay_ms=1), uplink_mbps=0, downlink_mbps=0)
    network = Network(clock, 2, still, Streams(1))
    nodes = [Node(clock, i, network, CryptoCosts(sign_us=0, verify_us=70)) for i in range(2)]
    nodes[1].look_ahead(absorb, lambda _sender, _message: None)
    vote = commit(Signer(0), 0, 1, b"d" * 32)

    for _ in range(4):
        nodes[0].send(1, vote)
    clock.run()

    assert counted == [1070, 1070, 1070, 1280]  # first and last at their time, two early
    assert (clock.now, nodes[1].busy_us) == (1280, 280)
