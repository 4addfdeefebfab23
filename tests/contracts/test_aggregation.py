"""Integer aggregation: order-independent, exact to its stated error, without overflow."""

from __future__ import annotations

import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.tensors import model_root
from simulation.contracts.aggregation import (
    LIMIT,
    MAX_ELEMENT,
    MAX_WEIGHT,
    AggregationError,
    Update,
    aggregate,
    dequantise,
    inputs_root,
    quantise,
)
from simulation.contracts.rules import FixedFedAvg, FixedMedian, FixedTrimmedMean

RULES = [FixedFedAvg(), FixedMedian(), FixedTrimmedMean(trim=1)]
FLOATS = st.floats(-100, 100, width=32)
COLUMN = st.lists(st.tuples(FLOATS, st.integers(1, 100_000)), min_size=3, max_size=9)
EXTREMES = st.sampled_from([MAX_ELEMENT, MAX_ELEMENT - 1, 1 - MAX_ELEMENT, -MAX_ELEMENT, 0, 1, -1])


def update(hospital: int, values: list[int], weight: int = 1) -> Update:
    return Update(hospital, {"w": np.array(values, dtype=np.int64)}, weight)


def nearest_even(value: Fraction) -> int:
    return round(value)  # Python rounds a fraction to nearest, ties to even


# ---- quantising ---------------------------------------------------------------------------------


@given(st.lists(st.floats(-32767, 32767), min_size=1, max_size=9))
def test_quantising_moves_no_element_by_more_than_half_a_step(values: list[float]) -> None:
    """Scale 2²⁴, to nearest: at most 2⁻²⁵ each."""
    integers = quantise({"w": np.array(values)})["w"]

    for value, integer in zip(values, integers, strict=True):
        assert abs(Fraction(int(integer), 1 << 24) - Fraction(value)) <= Fraction(1, 1 << 25)


@given(st.lists(st.integers(-(2**23), 2**23), min_size=1, max_size=9))
def test_what_float32_can_say_comes_back_exactly(integers: list[int]) -> None:
    """Quantised values of 24 bits survive the way to float32 and back."""
    arrays = {"w": np.array(integers, dtype=np.int64)}

    again = quantise(dequantise(arrays))

    assert again["w"].tolist() == integers


def rows(updates):
    return [(u.hospital, u.weight, model_root(u.arrays)) for u in updates]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, float(LIMIT), -float(LIMIT), 1e30])
def test_what_is_out_of_range_is_named(value: float) -> None:
    """Range-checked: NaN and infinities included."""
    array = np.zeros((2, 2), dtype=np.float64)
    array[1, 0] = value

    with pytest.raises(AggregationError, match=r"'w': element \(1, 0\)"):
        quantise({"w": array})


def test_counters_are_not_averaged() -> None:
    """A state dict's buffers are excluded, not silently averaged."""
    with pytest.raises(AggregationError, match="no floating type"):
        quantise({"steps": np.array(3)})


def test_negative_zero_is_zero() -> None:
    """Equal values, equal digests."""
    plus, minus = quantise({"w": np.array([0.0])}), quantise({"w": np.array([-0.0])})

    assert model_root(plus) == model_root(minus)


# ---- rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@given(column=COLUMN, data=st.data())
def test_any_order_gives_the_same_digest(rule, column, data) -> None:
    """Weighted float sums of 20 updates gave 21 digests in 21 orders; integers give one."""
    updates = [
        Update(i, quantise({"w": np.array([v, -v, v / 3], dtype=np.float32)}), w)
        for i, (v, w) in enumerate(column)
    ]
    shuffled = data.draw(st.permutations(updates))

    assert model_root(aggregate(rule, updates)) == model_root(aggregate(rule, shuffled))
    assert inputs_root(rows(updates)) == inputs_root(rows(shuffled))


@given(COLUMN)
def test_fedavg_is_exact_to_a_millionth(column) -> None:
    """The error against the exact weighted mean is below 10⁻⁶ (at most 2⁻²⁴)."""
    updates = [Update(i, quantise({"w": np.array([v])}), w) for i, (v, w) in enumerate(column)]

    result = aggregate(FixedFedAvg(), updates)["w"]

    total = sum(w for _, w in column)
    exact = sum(Fraction(v) * w for v, w in column) / total
    error = abs(Fraction(int(result[0]), 1 << 24) - exact)
    assert error <= Fraction(1, 1 << 24) < Fraction(1, 1_000_000)


@given(st.lists(st.tuples(EXTREMES | st.integers(-99, 99), st.integers(1, 9)), min_size=1))
def test_fedavg_is_the_rounded_rational_mean(column) -> None:
    """Integer weighted sum, one division with a stated rounding."""
    updates = [update(i, [q], w) for i, (q, w) in enumerate(column)]

    result = aggregate(FixedFedAvg(), updates)["w"][0]

    exact = Fraction(sum(q * w for q, w in column), sum(w for _, w in column))
    assert result == nearest_even(exact)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("weights", [[MAX_WEIGHT], [1, MAX_WEIGHT - 1], [1 << 20] * 8])
def test_nothing_overflows_at_the_edge(sign: int, weights: list[int]) -> None:
    """Overflow is impossible by construction: the largest elements under the largest weights."""
    updates = [update(i, [sign * MAX_ELEMENT], weight) for i, weight in enumerate(weights)]

    assert aggregate(FixedFedAvg(), updates)["w"].tolist() == [sign * MAX_ELEMENT]


@given(st.lists(EXTREMES | st.integers(-5, 5), min_size=1, max_size=9))
def test_the_median_is_the_median(column) -> None:
    """Median sorts integers; of an even number it is the mean of the middle two."""
    result = aggregate(FixedMedian(), [update(i, [q]) for i, q in enumerate(column)])["w"][0]

    assert result == nearest_even(statistics.median([Fraction(q) for q in column]))


@given(st.lists(EXTREMES | st.integers(-5, 5), min_size=5, max_size=9), st.integers(0, 2))
def test_the_trimmed_mean_is_the_trimmed_mean(column, trim: int) -> None:
    """Trimmed mean sorts integers and drops as many at each end."""
    updates = [update(i, [q]) for i, q in enumerate(column)]

    result = aggregate(FixedTrimmedMean(trim=trim), updates)["w"][0]

    kept = sorted(column)[trim : len(column) - trim]
    assert result == nearest_even(Fraction(sum(kept), len(kept)))


@pytest.mark.parametrize("rule", [FixedMedian(), FixedTrimmedMean(trim=1)])
def test_one_liar_among_five_moves_a_robust_rule_little(rule) -> None:
    """The result stays within the honest values, whatever one hospital sends."""
    for lie in (MAX_ELEMENT, -MAX_ELEMENT):
        updates = [update(i, [q]) for i, q in enumerate([10, 11, 12, 13, lie])]
        assert 10 <= aggregate(rule, updates)["w"][0] <= 13


def test_shapes_survive() -> None:
    """Tensors keep their shapes, scalars included."""
    arrays = {"m": np.ones((2, 3)), "s": np.array(2.0), "empty": np.zeros((0, 4))}
    updates = [Update(i, quantise(arrays), i + 1) for i in range(3)]

    for rule in RULES:
        result = dequantise(aggregate(rule, updates))
        assert {n: a.shape for n, a in result.items()} == {n: a.shape for n, a in arrays.items()}
        assert (result["m"] == 1).all()
        assert result["s"] == 2


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "updates", "message"),
    [
        (FixedFedAvg(), [], "no updates"),
        (FixedFedAvg(), [update(1, [1]), update(1, [2])], "more than one update"),
        (FixedFedAvg(), [update(0, [1]), update(1, [1, 2])], "hospital 1: other tensors"),
        (FixedFedAvg(), [update(0, [MAX_ELEMENT + 1])], "hospital 0, tensor 'w'"),
        (FixedFedAvg(), [update(0, [-MAX_ELEMENT - 1])], "hospital 0, tensor 'w'"),
        (FixedFedAvg(), [update(0, [-(2**63)])], "hospital 0, tensor 'w'"),
        (FixedFedAvg(), [Update(0, {"w": np.zeros(1)})], "not integers"),
        (FixedFedAvg(), [update(0, [1], 0)], "weight 0"),
        (FixedFedAvg(), [update(0, [1], MAX_WEIGHT), update(1, [1])], "add up to more"),
        (FixedTrimmedMean(trim=1), [update(0, [1]), update(1, [1])], "too few"),
    ],
)
def test_what_cannot_be_aggregated(rule, updates, message: str) -> None:
    """Refused with a reason, before any arithmetic."""
    with pytest.raises(AggregationError, match=message):
        aggregate(rule, updates)


def test_a_negative_trim_is_refused() -> None:
    """Parameters validate themselves."""
    with pytest.raises(ValueError, match="trim: must be >= 0"):
        FixedTrimmedMean(trim=-1)


def test_the_inputs_root_covers_hospital_weight_and_values() -> None:
    """With the rule, the inputs root determines the result."""
    base = [update(0, [1], 5), update(1, [2], 5)]
    others = [
        [update(0, [1], 5), update(2, [2], 5)],
        [update(0, [1], 6), update(1, [2], 5)],
        [update(0, [1], 5), update(1, [3], 5)],
        base[:1],
    ]

    assert len({inputs_root(rows(u)) for u in (base, *others)}) == 5
