"""PBFT on the simulated network against closed forms that leave nothing to choose."""

from __future__ import annotations

import pytest

from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.registry import PROTOCOLS
from simulation.network.latency import ConstantLatency, UniformLatency
from simulation.network.params import NetworkParams
from simulation.nodes.cluster import Submission, every, run_cluster
from simulation.nodes.costs import FREE, CryptoCosts
from simulation.trace.recorder import Recorder

AT_ONCE = PbftParams(batch_max_age_ms=0)
TEN_MS = NetworkParams(latency=ConstantLatency(delay_ms=10), uplink_mbps=0, downlink_mbps=0)


@pytest.mark.parametrize("n", [4, 7, 10, 16, 31])
def test_messages_of_each_phase_are_exactly_those_of_the_paper(n):
    """§4.2: n − 1 pre-prepares, (n − 1)² prepares from the backups, n (n − 1) commits."""
    decisions = 5

    result = run_cluster(AT_ONCE, n, TEN_MS, FREE, every(100_000, decisions), seed=1)

    assert all(len(log) == decisions for log in result.decisions)
    assert {kind: count.messages for kind, count in result.sent.items()} == {
        "pre-prepare": decisions * (n - 1),
        "prepare": decisions * (n - 1) ** 2,
        "commit": decisions * n * (n - 1),
    }
    assert result.messages == decisions * 2 * n * (n - 1)


@pytest.mark.parametrize("n", [4, 5, 7, 10, 31])
def test_with_all_delays_d_every_replica_decides_at_3d(n):
    result = run_cluster(AT_ONCE, n, TEN_MS, FREE, every(100_000, 3), seed=1)

    times = {d.decided_us - d.proposed_us for log in result.decisions for d in log}
    assert times == {30_000}
    assert {each.latency_us for each in result.latencies} == {30_000}


def test_a_backups_request_takes_one_delay_more():
    """It goes to the primary first: d, then 3d until the backup itself decides."""
    result = run_cluster(AT_ONCE, 4, TEN_MS, FREE, (Submission(0, 2),), seed=1)
    assert [each.latency_us for each in result.latencies] == [40_000]


def test_a_large_proposal_waits_for_the_primarys_uplink():
    """The k-th copy leaves after k transfers, so the k-th backup votes that much later."""
    n, size_bytes = 4, 100_000
    slow = NetworkParams(latency=ConstantLatency(delay_ms=10), uplink_mbps=8, downlink_mbps=0)

    result = run_cluster(AT_ONCE, n, slow, FREE, (Submission(0, 0, size_bytes),), seed=1)

    proposal_us = result.sent["pre-prepare"].bytes // (n - 1)  # one byte takes 1 µs at 8 Mbit/s
    assert proposal_us > size_bytes
    first = min(log[0].decided_us for log in result.decisions)
    # The quorum of three needs the second copy's backup, then two more rounds of small votes.
    assert 2 * proposal_us + 30_000 <= first < 2 * proposal_us + 33_000


def test_one_core_that_checks_2n_signatures_decides_no_faster_than_it_can():
    """CONSENSUS-REFERENCE §6.6: a backup checks 1 + (n − 2) + (n − 1) signatures per decision."""
    n = 16
    costs = CryptoCosts(sign_us=23, verify_us=73, hash_mb_per_s=0, execute_us=0)

    result = run_cluster(AT_ONCE, n, TEN_MS, costs, every(1, 20), seed=1)

    decisions = len(result.decisions[0])
    checks = 1 + (n - 2) + (n - 1)
    for busy_us in result.busy_us[1:]:
        assert busy_us == decisions * (checks * 73 + 2 * 23)  # signs one prepare and one commit


@pytest.mark.parametrize("kind", sorted(PROTOCOLS))
def test_every_protocol_decides_the_same_everywhere_on_a_random_network(kind):
    spec = PROTOCOLS[kind]
    schedule = [Submission(37 * i, i % 4, 50) for i in range(60)]

    result = run_cluster(
        spec.params(), 4, NetworkParams(profile="metro"), CryptoCosts(), schedule, seed=5
    )

    assert len(set(result.states)) == 1
    assert sum(d.requests for d in result.decisions[0]) == 60
    assert len(result.latencies) == 60
    for name, count in result.sent.items():
        landed = result.delivered[name]
        assert (count.messages, count.bytes) == (landed.messages, landed.bytes)
    assert not result.in_flight
    assert not result.dropped


def test_the_same_seed_gives_the_same_trace_and_another_seed_another():
    def digest(seed):
        recorder = Recorder()
        network = NetworkParams(latency=UniformLatency(low_ms=1, high_ms=9))
        run_cluster(
            PbftParams(), 7, network, CryptoCosts(), every(500, 40), seed, record=recorder.record
        )
        return recorder.digest

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_stopping_early_leaves_messages_in_flight_and_counts_them():
    result = run_cluster(AT_ONCE, 4, TEN_MS, FREE, every(100_000, 1), seed=1, until_us=15_000)
    assert result.end_us == 15_000
    assert result.in_flight["prepare"].messages == 9
    assert result.delivered == {"pre-prepare": result.sent["pre-prepare"]}


def test_too_few_replicas_are_refused():
    with pytest.raises(ValueError, match="replicas"):
        run_cluster(PbftParams(), 3, TEN_MS, FREE, (), seed=1)
