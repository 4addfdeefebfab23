"""Delay distributions: what their parameters say is what is drawn, and errors say what to do."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.network.delays import latency_model
from simulation.network.latency import (
    ConstantLatency,
    EmpiricalLatency,
    GammaLatency,
    LognormalLatency,
    NormalLatency,
    PairLatency,
    UniformLatency,
)
from simulation.network.params import PROFILES, NetworkParams


def drawn(params, count=20_000, nodes=4, seed=3):
    model = latency_model(params, nodes, Streams(seed))
    return np.array([model.draw_block(0, (1, 2)) for _ in range(count // 2)]).ravel()


def test_constant():
    assert set(drawn(ConstantLatency(delay_ms=2.5)).tolist()) == {2500}


def test_uniform_fills_its_range():
    values = drawn(UniformLatency(low_ms=1, high_ms=3))
    assert values.min() >= 1000
    assert values.max() <= 3000
    assert abs(values.mean() - 2000) < 15


def test_normal_is_cut_at_zero():
    values = drawn(NormalLatency(mean_ms=0.0, sd_ms=1.0))
    assert values.min() >= 0
    # The mean of a half-normal distribution is sd · √(2/π).
    assert abs(values.mean() - 1000 * np.sqrt(2 / np.pi)) < 20


def test_lognormal_has_its_median():
    values = drawn(LognormalLatency(median_ms=15, sigma=0.3))
    assert abs(np.median(values) - 15_000) < 150
    assert abs(np.log(values / 1000).std() - 0.3) < 0.01


def test_gamma_has_its_floor_mean_and_shape():
    values = drawn(GammaLatency(floor_ms=10, mean_ms=14, shape=2))
    assert values.min() >= 10_000
    assert abs(values.mean() - 14_000) < 100
    assert abs(values.std() - 4000 / np.sqrt(2)) < 100


def test_empirical_draws_measured_values_only():
    assert set(drawn(EmpiricalLatency(samples_ms=(3, 5, 8))).tolist()) == {3000, 5000, 8000}


def test_a_pair_has_one_base_in_both_directions():
    model = latency_model(PairLatency(low_ms=10, high_ms=20, jitter_ms=0), 5, Streams(1))
    table = [[model.draw_block(a, (b,))[0] for b in range(5)] for a in range(5)]
    for a in range(5):
        for b in range(5):
            assert table[a][b] == table[b][a]
            assert a == b or 10_000 <= table[a][b] <= 20_000
    assert len({table[a][b] for a in range(5) for b in range(a)}) == 10


def test_one_more_node_changes_no_other_pair():
    params = PairLatency(jitter_ms=0)
    few = latency_model(params, 4, Streams(1))
    many = latency_model(params, 9, Streams(1))
    for a in range(4):
        assert few.draw_block(a, (0, 1, 2, 3)) == many.draw_block(a, (0, 1, 2, 3))


def test_blocks_of_any_size_give_the_same_stream():
    one = latency_model(UniformLatency(), 2, Streams(5))
    other = latency_model(UniformLatency(), 2, Streams(5))
    singles = [one.draw_block(0, (1,))[0] for _ in range(9_999)]
    chunks = [other.draw_block(0, (1,) * k) for k in (1, 4000, 998, 5000)]
    assert singles == [value for chunk in chunks for value in chunk]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ConstantLatency(delay_ms=-1), "delay_ms: must be >= 0, got -1"),
        (lambda: UniformLatency(low_ms=5, high_ms=4), "high_ms: must be >= low_ms = 5"),
        (lambda: NormalLatency(sd_ms=0), "sd_ms: must be > 0"),
        (lambda: GammaLatency(floor_ms=5, mean_ms=5), "mean_ms: must be above floor_ms"),
        (EmpiricalLatency, "samples_ms: is empty"),
        (lambda: PairLatency(jitter_ms=float("nan")), "jitter_ms: must be >= 0, got nan"),
        (lambda: NetworkParams(profile="moon"), "profile: unknown profile 'moon'; choose one of"),
        (lambda: NetworkParams(uplink_mbps=-3), "uplink_mbps: must be >= 0, got -3; use 0"),
    ],
)
def test_bad_parameters_name_the_field_and_the_remedy(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    ("name", "low_ms", "high_ms"),
    [("metro", 2, 5), ("national", 20, 40), ("intercontinental", 70, 160)],
)
def test_profiles_are_the_round_trips_of_the_experiments(name, low_ms, high_ms):
    latency = PROFILES[name].latency
    assert (2 * latency.low_ms, 2 * latency.high_ms) == (low_ms, high_ms)
    assert NetworkParams(profile=name).delays == latency


def test_what_a_configuration_says_overrides_its_profile():
    params = NetworkParams(profile="metro", latency=ConstantLatency(delay_ms=3), uplink_mbps=50)
    assert params.delays == ConstantLatency(delay_ms=3)
    assert (params.uplink_bps, params.downlink_bps) == (50_000_000, 1_000_000_000)
