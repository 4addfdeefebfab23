"""Clients: open ones keep their rate, closed ones wait, outside ones want f + 1 equal replies."""

from __future__ import annotations

import pytest

from simulation.consensus.pbft.params import PbftParams
from simulation.network.latency import ConstantLatency
from simulation.network.params import NetworkParams
from simulation.nodes.clients import OutsideClients, Reply
from simulation.nodes.cluster import Cluster
from simulation.nodes.costs import FREE
from simulation.nodes.faults import CrashFault
from simulation.nodes.loads import ClosedLoad, OpenLoad
from simulation.nodes.workload import Workload

TEN_MS = NetworkParams(latency=ConstantLatency(delay_ms=10), uplink_mbps=0, downlink_mbps=0)
AT_ONCE = PbftParams(batch_max_age_ms=0)


def cluster(others=0, faults=(), protocol=AT_ONCE, seed=1):
    return Cluster(protocol, 4, TEN_MS, FREE, seed, others=others, faults=faults)


def test_an_outside_client_waits_five_delays():
    """§4.1, §4.2: request, pre-prepare, prepare, commit, reply."""
    load = ClosedLoad(clients=1, place="outside", warmup_s=0, measure_s=1.01)
    seen = Workload(cluster(others=1), load).run()
    assert set(seen.latencies_us) == {50_000}
    assert seen.completed == 20  # one every 50 ms


def test_closed_clients_obey_the_interactive_response_time_law():
    """Throughput = clients / (latency + think time)."""
    load = ClosedLoad(clients=12, think_ms=200, warmup_s=2, measure_s=30)
    seen = Workload(cluster(), load).run()
    latency_s = sum(seen.latencies_us) / len(seen.latencies_us) / 1e6
    assert seen.throughput_per_s == pytest.approx(12 / (latency_s + 0.2), rel=0.06)
    assert all(len(each) > 90 for each in seen.by_client_us)


def test_open_clients_keep_their_rate():
    load = OpenLoad(clients=4, rate_per_s=50, arrivals="even", warmup_s=1, measure_s=10)
    seen = Workload(cluster(), load).run()
    assert seen.submitted == 500
    assert seen.throughput_per_s == pytest.approx(50, rel=0.01)
    # Clients of backups have one hop more than the primary's own.
    assert set(seen.by_client_us[0]) == {30_000}
    assert set(seen.by_client_us[1]) == {40_000}
    assert seen.quantile_us(0.5) == 40_000


def test_poisson_arrivals_have_their_mean_and_another_seed_other_times():
    load = OpenLoad(rate_per_s=40, warmup_s=0, measure_s=20)
    first = Workload(cluster(), load).run()
    again = Workload(cluster(), load).run()
    other = Workload(cluster(seed=2), load).run()
    assert first.submitted == pytest.approx(800, rel=0.1)
    assert first.cluster.states == again.cluster.states
    assert first.cluster.states != other.cluster.states


def test_a_client_sends_to_all_replicas_when_no_result_comes():
    """§4.1: if the client does not receive replies soon enough, it broadcasts the request."""
    protocol = PbftParams(batch_max_age_ms=0, request_timeout_ms=300, retransmit_ms=200)
    load = ClosedLoad(clients=1, place="outside", retry_ms=100, warmup_s=0, measure_s=5)
    seen = Workload(cluster(1, [CrashFault(at_ms=0, node=0)], protocol), load).run()
    # Retry after 100 ms, timeout 300 ms, then view change and three phases; later requests go to
    # the new primary at once.
    assert seen.latencies_us[0] > 400_000
    assert set(seen.latencies_us[1:]) == {50_000}


def test_one_replica_cannot_convince_a_client_by_repeating_itself():
    """§4.1: the client waits for f + 1 replies from *different* replicas with the same result."""
    completed = []
    world = cluster(others=1)
    load = ClosedLoad(clients=1, place="outside", retry_ms=1e6)
    clients = OutsideClients(world, load, lambda client, latency_us: completed.append(client))
    clients.submit(0, b"")

    def reply(sender, result):
        clients._on_reply(0, sender, Reply(1, result, 0, 0))

    reply(3, b"lie")
    reply(3, b"lie")
    reply(2, b"truth")
    assert completed == []
    reply(1, b"truth")
    assert completed == [0]
    reply(0, b"truth")
    assert completed == [0]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: OpenLoad(rate_per_s=0), "rate_per_s: must be > 0"),
        (lambda: ClosedLoad(think_ms=-1), "think_ms: must be >= 0"),
        (lambda: ClosedLoad(clients=0), "clients: must be >= 1"),
        (lambda: OpenLoad(measure_s=0), "measure_s: must be > 0"),
        (
            lambda: Workload(cluster(), ClosedLoad(place="outside")),
            "clients: 4 outside clients need as many other nodes, got 0",
        ),
    ],
)
def test_bad_loads_name_the_field(build, words):
    with pytest.raises(ValueError, match=words):
        build()
