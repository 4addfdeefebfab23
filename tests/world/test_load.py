"""A workload in place of learning: what clients saw, in rows, from a configuration alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from simulation.config.errors import ConfigError
from simulation.config.load import load
from simulation.network.regions import round_trip_ms
from simulation.nodes.faults import CrashFault
from simulation.nodes.properties import PROPERTIES
from simulation.world import InvariantError, simulate

STILL = """\
name: load
hospitals: 4
consensus: {kind: pbft, batch_max_age_ms: 0}
crypto: {sign_us: 0, verify_us: 0, hash_mb_per_s: 0, execute_us: 0}
network: {latency: {kind: constant, delay_ms: 10}, uplink_mbps: 0, downlink_mbps: 0}
"""
CLOSED = "workload: {kind: closed, clients: 1, place: outside, warmup_s: 1, measure_s: 2}\n"
OPEN = "workload: {kind: open, rate_per_s: 50, arrivals: even, warmup_s: 1, measure_s: 4}\n"


@pytest.fixture
def experiment(tmp_path: Path):
    """Reads a configuration from its text."""

    def read(text, *overrides):
        path = tmp_path / "load.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, overrides)

    return read


def value(outcome, metric, window=1):
    rows = [r for r in outcome.metrics if (r["round"], r["metric"]) == (window, metric)]
    assert [row["scope"] for row in rows] == ["workload"]
    return rows[0]["value"]


def test_an_outside_client_is_served_after_five_delays(experiment):
    """§4.1, §4.2: request, pre-prepare, prepare, commit, reply; one request every 50 ms."""
    outcome = simulate(experiment(STILL + CLOSED), 1)

    assert value(outcome, "throughput_per_s") == 20
    assert value(outcome, "latency_p50_us") == value(outcome, "latency_max_us") == 50_000
    assert value(outcome, "completed", window=0) == 19, "the first ends at 50 ms, the 20th at 1 s"
    assert outcome.invariants == sorted(PROPERTIES)
    assert outcome.arrays == {}


def test_an_open_load_keeps_its_rate(experiment):
    outcome = simulate(experiment(STILL + OPEN), 1)

    assert value(outcome, "submitted") == 200
    assert value(outcome, "throughput_per_s") == pytest.approx(50, rel=0.01)


def test_a_workload_goes_on_after_a_crash_and_ends_when_nothing_moves(experiment):
    task = experiment(STILL + OPEN)
    one = dataclasses.replace(task, faults=(CrashFault(at_ms=500, node=3),))
    assert value(simulate(one, 1), "completed") == pytest.approx(150, abs=2)

    two = dataclasses.replace(task, faults=(*one.faults, CrashFault(at_ms=500, node=2)))
    with pytest.raises(InvariantError, match=r"no request was completed .* replica 2: down"):
        simulate(two, 1)


def test_the_region_matrix_is_a_network_that_a_configuration_may_name(experiment):
    """Two regions, two replicas in each: the far pair's votes decide, half a round trip each."""
    regions = experiment(
        STILL + CLOSED,
        "network.latency={kind: regions, regions: [us-east-1, eu-west-1]}",
    )

    p50_us = value(simulate(regions, 1), "latency_p50_us")

    far_us = round_trip_ms("us-east-1", "eu-west-1") * 1_000
    assert far_us < p50_us < 3 * far_us


def test_what_a_workload_needs_is_checked(experiment):
    with pytest.raises(ConfigError, match="a workload has no rounds"):
        experiment(STILL + OPEN + "faults: [{kind: crash, at_round: 1, node: 0}]\n")
    with pytest.raises(ConfigError, match="no node 5; nodes are 0 to 4, the replicas being 0 to 3"):
        experiment(STILL + CLOSED + "faults: [{kind: crash, at_ms: 1, node: 5}]\n")
    with pytest.raises(ConfigError, match=r"workload.rate_per_s: must be > 0"):
        experiment(STILL + OPEN, "workload.rate_per_s=0")
    with pytest.raises(ConfigError, match="data: is missing"):
        experiment(STILL)


def test_the_same_workload_gives_the_same_trace(experiment):
    task = experiment(STILL + OPEN, "workload.arrivals=poisson")
    first, again, other = (simulate(task, seed) for seed in (1, 1, 2))
    assert first.trace_digest == again.trace_digest != other.trace_digest
