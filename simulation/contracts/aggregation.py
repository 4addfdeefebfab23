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

Krum's distances and the clipping of norms need more than 64 bits; how they stay exact is said in
`simulation.contracts.arithmetic`, which rules there are, in `simulation.contracts.rules`.

Source: the project's protocol, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.base.digest import Digest
from simulation.base.encoding import encode
from simulation.base.ids import HospitalId
from simulation.base.merkle import merkle_root
from simulation.base.tensors import encode_model, read_model
from simulation.contracts.arithmetic import (
    clipped,
    krum_order,
    median,
    near_median_mean,
    trimmed_mean,
    weighted_mean,
)
from simulation.contracts.rules import (
    SCALE_BITS,
    FixedBulyan,
    FixedFedAvg,
    FixedMedian,
    FixedMultiKrum,
    FixedNormClip,
    FixedTrimmedMean,
    Rule,
    least_updates,
)

LIMIT = 1 << 15
MAX_ELEMENT = LIMIT << SCALE_BITS
MAX_WEIGHT = 1 << 23

Integers = Mapping[str, NDArray[np.int64]]
"""A quantised model: parameter name to int64 array."""


Input = tuple[HospitalId, int, Digest]
"""Hospital, weight and the root of its update as sent, which determines the quantised integers."""


class AggregationError(ValueError):
    """The updates cannot be aggregated: out of range, of different shapes, too few, not finite."""


@dataclass(frozen=True)
class Update:
    """One hospital's quantised update."""

    hospital: HospitalId
    arrays: Integers
    weight: int = 1
    """Number of examples, or 1; ignored by median and trimmed mean."""


# ---- whole models -------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def aggregate_models(rule: Rule, rows: tuple[tuple[HospitalId, int, bytes], ...]) -> bytes:
    """Canonical bytes of the aggregate of (hospital, weight, canonical bytes of its update).

    Elements come back in the updates' own element types. All who compute it in a process share one
    computation, since it is a function of its arguments; hosts charge each of them.

    Raises:
        AggregationError: for the reasons of `quantise` and `aggregate`.
        EncodingError: when an update is not the canonical form of a model.
    """
    models = [(hospital, weight, read_model(data)) for hospital, weight, data in rows]
    result = aggregate(rule, [Update(h, quantise(arrays), w) for h, w, arrays in models])
    types = {name: array.dtype.name for name, array in models[0][2].items()}
    for hospital, _, arrays in models:
        if {name: array.dtype.name for name, array in arrays.items()} != types:
            raise AggregationError(f"hospital {hospital}: other element types than the first")
    finished = {n: dequantise({n: array}, types[n])[n] for n, array in result.items()}
    return encode_model(finished)


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


def inputs_root(inputs: Sequence[Input]) -> Digest:
    """RFC 6962 root over ``cbor([hospital, weight, update root])`` in the order of hospitals.

    With the rule it determines the result, whoever computes it.
    """
    return merkle_root([encode(list(row)) for row in sorted(inputs)])


def aggregate(rule: Rule, updates: Sequence[Update]) -> dict[str, NDArray[np.int64]]:
    """The quantised result of a rule; the order of ``updates`` does not matter.

    Raises:
        AggregationError: when there are too few updates for the rule, they do not fit each other,
            or an element or the sum of weights is out of range.
    """
    ordered = _ordered(updates)
    _check(ordered)
    if len(ordered) < least_updates(rule):
        few = f"{len(ordered)} updates are too few for {rule.kind}"
        raise AggregationError(f"{few}, which needs {least_updates(rule)}")
    weights = [update.weight for update in ordered]
    match rule:
        case FixedFedAvg():
            return _each(ordered, lambda stack: weighted_mean(stack, weights))
        case FixedMedian():
            return _each(ordered, median)
        case FixedTrimmedMean(trim=trim):
            return _each(ordered, lambda stack: trimmed_mean(stack, trim))
        case FixedMultiKrum(byzantine=byzantine, select=select):
            chosen = _closest(ordered, byzantine, select or len(ordered) - byzantine)
            return _each(chosen, lambda s: weighted_mean(s, [u.weight for u in chosen]))
        case FixedBulyan(byzantine=byzantine):
            chosen = _closest(ordered, byzantine, len(ordered) - 2 * byzantine)
            count = len(chosen) - 2 * byzantine
            return _each(chosen, lambda stack: near_median_mean(stack, count))
        case FixedNormClip(radius=radius):
            return _clipped_mean(ordered, radius)


def _each(
    updates: Sequence[Update], combine: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    names = sorted(updates[0].arrays)
    return {name: combine(np.stack([u.arrays[name] for u in updates])) for name in names}


def _flat(updates: Sequence[Update]) -> NDArray[np.int64]:
    """Whole updates as rows, shape (updates, elements)."""
    names = sorted(updates[0].arrays)
    return np.stack([np.concatenate([u.arrays[n].ravel() for n in names]) for u in updates])


def _closest(updates: Sequence[Update], byzantine: int, count: int) -> list[Update]:
    """The updates of the lowest Krum scores, in the order of hospitals."""
    chosen = krum_order(_flat(updates), byzantine)[:count]
    return [updates[i] for i in sorted(chosen)]


def _clipped_mean(updates: Sequence[Update], radius: int) -> dict[str, NDArray[np.int64]]:
    stack = _flat(updates)
    centre = median(stack)
    pulled = np.stack([centre + clipped(row - centre, radius) for row in stack])
    flat = weighted_mean(pulled, [update.weight for update in updates])
    found: dict[str, NDArray[np.int64]] = {}
    start = 0
    for name in sorted(updates[0].arrays):
        shape = updates[0].arrays[name].shape
        size = updates[0].arrays[name].size
        found[name] = flat[start : start + size].reshape(shape)
        start += size
    return found


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
