"""Robust rules in integers: their definitions, their bounds, and Flower's own in floats."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.contracts import arithmetic
from simulation.contracts.aggregation import (
    MAX_ELEMENT,
    AggregationError,
    Update,
    aggregate,
    dequantise,
    quantise,
)
from simulation.contracts.arithmetic import clipped, krum_order, squared_length
from simulation.contracts.rules import (
    RULES,
    FixedBulyan,
    FixedMultiKrum,
    FixedNormClip,
    described,
    least_updates,
    rule_of,
)

EDGE = 2 * MAX_ELEMENT
ELEMENTS = st.sampled_from([EDGE, -EDGE, EDGE - 1, 1 - EDGE, 0, 1, -1, 1 << 20, -(1 << 20)])
VECTORS = st.lists(ELEMENTS | st.integers(-EDGE, EDGE), min_size=1, max_size=9)


def updates_of(stack, weights=None) -> list[Update]:
    return [
        Update(i, quantise({"w": np.asarray(row)}), 1 if weights is None else weights[i])
        for i, row in enumerate(stack)
    ]


def cloud(seed: int, honest: int, liars: int, size: int = 30) -> np.ndarray:
    """Honest updates around a point, and liars far off on one side, in the first rows."""
    rng = np.random.default_rng(seed)
    point = rng.standard_normal(size)
    good = point + 0.1 * rng.standard_normal((honest, size))
    bad = point + 5 + 0.1 * rng.standard_normal((liars, size))
    return np.vstack([bad, good])


# ---- exactness ----------------------------------------------------------------------------------


@given(VECTORS)
def test_a_squared_length_is_exact(values: list[int]) -> None:
    """Cut into limbs and put together again, it is what Python's own integers give."""
    assert squared_length(np.array(values)) == sum(value * value for value in values)


@pytest.mark.parametrize("value", [EDGE, -EDGE, EDGE - 1, 1 - EDGE])
def test_long_vectors_of_the_largest_differences_do_not_overflow(value: int) -> None:
    """ "the sum of 2²² of them at most 2⁶²": a whole piece of the largest, and one more element."""
    count = arithmetic.PIECE + 1
    assert squared_length(np.full(count, value)) == count * value * value


@given(VECTORS, st.integers(1, 1 << 62))
def test_what_is_clipped_is_never_too_long_and_points_the_same_way(values, radius: int) -> None:
    deviation = np.array(values)
    short = clipped(deviation, radius)
    assert squared_length(short) <= radius * radius
    assert (np.abs(short) <= np.abs(deviation)).all()
    assert (short * np.sign(deviation) >= 0).all()
    if squared_length(deviation) <= radius * radius:
        assert (short == deviation).all()


@given(st.lists(st.integers(-EDGE, EDGE), min_size=1, max_size=9), st.integers(1 << 30, 1 << 41))
def test_clipping_has_twenty_two_bits(values, radius: int) -> None:
    """φ·2⁻ˢ falls short of R/N by less than a part in 2²¹, and an element by less than one more."""
    deviation = np.array(values)
    squared = squared_length(deviation)
    if squared <= radius * radius:
        return
    norm = math.isqrt(squared)
    for value, short in zip(values, clipped(deviation, radius).tolist(), strict=True):
        exact = Fraction(abs(value) * radius, norm)
        assert exact * (1 - Fraction(1, 1 << 20)) - 2 <= abs(short) <= exact + 1


# ---- definitions --------------------------------------------------------------------------------


def test_krum_prefers_whoever_has_close_neighbours() -> None:
    """By hand, one dimension, f = 0: scores over the two nearest others are 5, 2, 5, 145."""
    stack = np.array([[0], [1], [2], [10]])
    assert krum_order(stack, 0) == [1, 0, 2, 3]


def test_equal_scores_go_to_the_first_hospital() -> None:
    """No tie is left to the order of arrival."""
    assert krum_order(np.zeros((5, 2), dtype=np.int64), 1) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "rule",
    [FixedMultiKrum(byzantine=2, select=1), FixedMultiKrum(byzantine=2), FixedBulyan(byzantine=2)],
)
def test_two_liars_of_eleven_do_not_move_the_result(rule) -> None:
    """Within the honest values in every element, where the mean is far off."""
    stack = cloud(3, honest=9, liars=2)
    result = dequantise(aggregate(rule, updates_of(stack)))["w"]
    honest = stack[2:]
    assert (honest.min(axis=0) - 1e-6 <= result).all()
    assert (result <= honest.max(axis=0) + 1e-6).all()
    assert not (stack.mean(axis=0) <= honest.max(axis=0)).all()


def test_clipping_bounds_what_one_hospital_can_do() -> None:
    """However far it lies, a hospital of ten moves the mean by at most a tenth of the radius."""
    honest = np.zeros((9, 4))
    for lie in (10.0, 10_000.0):
        stack = np.vstack([honest, np.full(4, lie)])
        rule = FixedNormClip(radius=1 << 24)
        result = dequantise(aggregate(rule, updates_of(stack)))["w"]
        assert np.linalg.norm(result) == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize(
    "rule",
    [
        FixedMultiKrum(byzantine=1, select=1),
        FixedMultiKrum(byzantine=1),
        FixedBulyan(byzantine=1),
        FixedNormClip(radius=1 << 22),
    ],
)
@given(seed=st.integers(0, 999), data=st.data())
def test_any_order_gives_the_same_integers(rule, seed: int, data) -> None:
    updates = updates_of(cloud(seed, 6, 1, size=3), weights=list(range(1, 8)))
    shuffled = data.draw(st.permutations(updates))
    assert (aggregate(rule, updates)["w"] == aggregate(rule, shuffled)["w"]).all()


@pytest.mark.parametrize("rule", [FixedMultiKrum(byzantine=1), FixedBulyan(byzantine=1)])
def test_too_few_updates_are_refused(rule) -> None:
    """2f + 3 for Krum and 4f + 3 for Bulyan: with fewer neither means anything."""
    least = least_updates(rule)
    assert least == {"multi_krum": 5, "bulyan": 7}[rule.kind]
    with pytest.raises(AggregationError, match=f"needs {least}"):
        aggregate(rule, updates_of(np.zeros((least - 1, 2))))


# ---- on the ledger ------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [kind() for kind in RULES.values()], ids=list(RULES))
def test_a_rule_is_data_on_the_ledger(rule) -> None:
    """Whole numbers only, and read back it is the same rule."""
    assert rule_of(described(rule)) == rule


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "best"},
        {"kind": "bulyan"},
        {"kind": "bulyan", "byzantine": 1.0},
        {"kind": "bulyan", "byzantine": True},
        {"kind": "bulyan", "byzantine": -1},
        {"kind": "fedavg", "trim": 1},
        "fedavg",
    ],
)
def test_what_is_no_rule_is_refused(value) -> None:
    with pytest.raises(ValueError, match=r"rule|byzantine"):
        rule_of(value)


# ---- against Flower -----------------------------------------------------------------------------


def flower_aggregate(strategy, stack, weights):
    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict

    from simulation.federation.identity import SERVER_NODE, delivered, flower_node

    replies = [
        delivered(
            RecordDict(
                {
                    "arrays": ArrayRecord({"w": Array(row.astype(np.float32))}),
                    "metrics": MetricRecord({"num-examples": weights[i]}),
                }
            ),
            message_id=str(i), src=flower_node(i), dst=SERVER_NODE, category="train", group="1",
            reply_to="0",
        )
        for i, row in enumerate(stack)
    ]  # fmt: skip
    arrays, _ = strategy.aggregate_train(1, replies)
    return next(iter(arrays.values())).numpy()


@pytest.mark.parametrize(
    ("fixed", "stock", "arguments"),
    [
        ("FixedFedAvg", "FedAvg", {}),
        ("FixedMedian", "FedMedian", {}),
        ("FixedTrimmedMean", "FedTrimmedAvg", {}),
        ("FixedKrum", "Krum", {"num_malicious_nodes": 2}),
        ("FixedMultiKrum", "MultiKrum", {"num_malicious_nodes": 2, "num_nodes_to_select": 6}),
        ("FixedBulyan", "Bulyan", {"num_malicious_nodes": 2}),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_integers_and_flower_s_floats_agree(fixed: str, stock: str, arguments, seed: int) -> None:
    """The same rule in integers and as Flower computes it, to 10⁻⁶."""
    from simulation.federation.strategies import strategy_class

    ours, theirs = dict(arguments), dict(arguments)
    if fixed == "FixedTrimmedMean":
        ours, theirs = {"trim": 2}, {"beta": 2 / 12}
    stack = cloud(seed, honest=10, liars=2)
    weights = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
    mine = flower_aggregate(strategy_class(fixed)(**ours), stack, weights)
    expected = flower_aggregate(strategy_class(stock)(**theirs), stack, weights)
    assert mine == pytest.approx(expected, abs=1e-6)
