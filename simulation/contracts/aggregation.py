"""Aggregation in integers: the same bits in any order, on any machine.

Floating-point addition is not associative, so a weighted mean of float updates depends on the order
of the hospitals. Here every update is first *quantised* to int64 at scale 2²⁴ (the integers are
what a hospital hashes and a replica recomputes), and every rule works on integers only.

Ranges. With elements below ``LIMIT = 2¹⁵`` in magnitude, a quantised element is at most ``2³⁹``.
Weights are positive integers whose sum is at most ``MAX_WEIGHT = 2²³``. So for every partial sum

    |Σ wᵢ·qᵢ| ≤ Σ wᵢ·|qᵢ| ≤ 2²³ · 2³⁹ = 2⁶² < 2⁶³,

and no order of addition can overflow. Division by W rounds to nearest, ties to even, from the floor
quotient and the remainder r: the doubled remainder 2r < 2²⁴ cannot overflow either. Sums of two
elements (the median of an even number) are at most 2⁴⁰.

Error. Quantising moves an element by at most 2⁻²⁵ (multiplying by 2²⁴ is exact in float64), hence
the mean by at most 2⁻²⁵; the division adds at most 2⁻²⁵: together at most 2⁻²⁴ ≈ 6.0·10⁻⁸, plus
the rounding of the result to the model's own element type.

Source: the project's protocol, section 4. Median and trimmed mean: Yin et al., ICML 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import NDArray

from simulation.base.digest import Digest
from simulation.base.encoding import encode
from simulation.base.ids import HospitalId
from simulation.base.merkle import merkle_root
from simulation.base.tensors import model_root

SCALE_BITS = 24
LIMIT = 1 << 15
MAX_ELEMENT = LIMIT << SCALE_BITS
MAX_WEIGHT = 1 << 23

Integers = Mapping[str, NDArray[np.int64]]
"""A quantised model: parameter name to int64 array."""


class AggregationError(ValueError):
    """The updates cannot be aggregated: out of range, of different shapes, too few, not finite."""


@dataclass(frozen=True)
class Update:
    """One hospital's quantised update."""

    hospital: HospitalId
    arrays: Integers
    weight: int = 1
    """Number of examples, or 1; ignored by median and trimmed mean."""


# ---- rules --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedFedAvg:
    """The mean of the updates, weighted by their numbers of examples."""

    kind: Literal["fedavg"] = "fedavg"


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedMedian:
    """The median of each element; of an even number, the mean of the middle two."""

    kind: Literal["median"] = "median"


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedTrimmedMean:
    """The mean of each element without its largest and smallest values."""

    kind: Literal["trimmed_mean"] = "trimmed_mean"
    trim: int = 1
    """How many values are dropped at each end; at least the number of hospitals that may lie."""

    def __post_init__(self) -> None:
        if self.trim < 0:
            raise ValueError(f"trim: must be >= 0, got {self.trim}; 0 is the unweighted mean")


Rule = Union[FixedFedAvg, FixedMedian, FixedTrimmedMean]


# ---- quantised models ---------------------------------------------------------------------------


def quantise(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """Each element times 2²⁴, rounded to the nearest integer, ties to even.

    Raises:
        AggregationError: when an array is not of a floating type (counters do not belong into an
            update), or an element is not finite or not below `LIMIT` in magnitude; names tensor
            and position.
    """
    quantised: dict[str, NDArray[np.int64]] = {}
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise AggregationError(f"tensor {name!r}: {array.dtype} is no floating type")
        wide = array.astype(np.float64)
        # Written so that NaN, which is not below anything, is caught as well.
        bad = ~(np.abs(wide) < LIMIT)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise AggregationError(
                f"tensor {name!r}: element {where} is {wide[where]}, not below {LIMIT} in magnitude"
            )
        quantised[name] = np.rint(np.ldexp(wide, SCALE_BITS)).astype(np.int64)
    return quantised


def dequantise(arrays: Integers, dtype: str = "float32") -> dict[str, NDArray[Any]]:
    """Each integer divided by 2²⁴, rounded once to ``dtype``."""
    return {
        name: np.ldexp(array.astype(np.float64), -SCALE_BITS).astype(dtype)
        for name, array in arrays.items()
    }


def inputs_root(updates: Sequence[Update]) -> Digest:
    """RFC 6962 root over ``cbor([hospital, weight, model root])`` in the order of hospitals.

    With the rule it determines the result, whoever computes it.
    """
    ordered = _ordered(updates)
    return merkle_root([encode([u.hospital, u.weight, model_root(u.arrays)]) for u in ordered])


def aggregate(rule: Rule, updates: Sequence[Update]) -> dict[str, NDArray[np.int64]]:
    """The quantised result of a rule; the order of ``updates`` does not matter.

    Raises:
        AggregationError: when there are too few updates for the rule, they do not fit each other,
            or an element or the sum of weights is out of range.
    """
    ordered = _ordered(updates)
    _check(ordered)
    match rule:
        case FixedFedAvg():
            return _each(ordered, lambda stack: _weighted_mean(stack, ordered))
        case FixedMedian():
            return _each(ordered, _median)
        case FixedTrimmedMean(trim=trim):
            if len(ordered) <= 2 * trim:
                raise AggregationError(f"{len(ordered)} updates are too few to trim {trim} twice")
            return _each(ordered, lambda stack: _trimmed_mean(stack, trim))


# ---- arithmetic ---------------------------------------------------------------------------------


def _each(
    updates: Sequence[Update], combine: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    names = sorted(updates[0].arrays)
    return {name: combine(np.stack([u.arrays[name] for u in updates])) for name in names}


def _weighted_mean(stack: NDArray[np.int64], updates: Sequence[Update]) -> NDArray[np.int64]:
    weights = np.array([update.weight for update in updates], dtype=np.int64)
    total = np.tensordot(weights, stack, axes=1)
    return _divide(total, int(weights.sum()))


def _median(stack: NDArray[np.int64]) -> NDArray[np.int64]:
    ordered = np.sort(stack, axis=0)
    low, high = ordered[(len(stack) - 1) // 2], ordered[len(stack) // 2]
    return _divide(low + high, 2)


def _trimmed_mean(stack: NDArray[np.int64], trim: int) -> NDArray[np.int64]:
    kept = np.sort(stack, axis=0)[trim : len(stack) - trim]
    return _divide(kept.sum(axis=0), len(kept))


def _divide(total: NDArray[np.int64], divisor: int) -> NDArray[np.int64]:
    """``total / divisor`` to the nearest integer, ties to even; ``0 < divisor ≤ 2²³``."""
    quotient, remainder = np.divmod(total, divisor)
    twice = 2 * remainder
    up = (twice > divisor) | ((twice == divisor) & (quotient % 2 == 1))
    return quotient + up


def _ordered(updates: Sequence[Update]) -> list[Update]:
    ordered = sorted(updates, key=lambda update: update.hospital)
    hospitals = [update.hospital for update in ordered]
    if len(set(hospitals)) != len(hospitals):
        raise AggregationError("a hospital has more than one update")
    return ordered


def _check(updates: Sequence[Update]) -> None:
    if not updates:
        raise AggregationError("no updates to aggregate")
    shapes = {name: array.shape for name, array in updates[0].arrays.items()}
    for update in updates:
        if {name: array.shape for name, array in update.arrays.items()} != shapes:
            raise AggregationError(f"hospital {update.hospital}: other tensors than the first")
        for name, array in update.arrays.items():
            # A comparison on both sides: the magnitude of the smallest int64 is not an int64.
            if array.dtype != np.int64 or ((array > MAX_ELEMENT) | (array < -MAX_ELEMENT)).any():
                raise AggregationError(
                    f"hospital {update.hospital}, tensor {name!r}: not integers up to 2^39"
                )
        if update.weight < 1:
            raise AggregationError(f"hospital {update.hospital}: weight {update.weight} < 1")
    if max(len(updates), sum(update.weight for update in updates)) > MAX_WEIGHT:
        raise AggregationError(f"the weights add up to more than {MAX_WEIGHT}")
