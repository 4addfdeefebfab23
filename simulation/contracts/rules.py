"""The rules by which a round's updates become one model: names, parameters, what they need.

A rule is data: the ledger's task holds it, so that every replica computes the same. How it computes
is in `simulation.contracts.aggregation`.

Sources: McMahan et al., AISTATS 2017 (weighted mean); Yin et al., ICML 2018 (median and trimmed
mean); Blanchard et al., NeurIPS 2017 (Krum, Multi-Krum); El Mhamdi et al., ICML 2018 (Bulyan);
Karimireddy et al., ICML 2021 (clipping around a centre).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, Union

from simulation.base.encoding import Value

SCALE_BITS = 24
"""A quantised element is the element times two to this power."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedMultiKrum:
    """The mean, weighted by examples, of the updates that lie closest to their neighbours.

    An update's score is the sum of its squared distances to its n − f − 2 nearest others; the
    lowest scores are chosen, equal ones in the order of hospitals. Choosing one is Krum.
    """

    kind: Literal["multi_krum"] = "multi_krum"
    byzantine: int = 1
    """f: how many hospitals may lie; at least 2f + 3 updates are needed."""
    select: int = 0
    """How many updates are chosen; 0: all but f of those that there are."""

    def __post_init__(self) -> None:
        _check_byzantine(self.byzantine)
        if self.select < 0:
            raise ValueError(f"select: must be >= 0, got {self.select}; 1 is Krum")


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedBulyan:
    """Of each element, the mean of the values closest to the median of n − 2f chosen updates.

    The n − 2f lowest Krum scores are chosen at once, as Flower does; the paper computes scores anew
    after each choice. Of these, the n − 4f values closest to the median count, unweighted.
    """

    kind: Literal["bulyan"] = "bulyan"
    byzantine: int = 1
    """f: how many hospitals may lie; at least 4f + 3 updates are needed."""

    def __post_init__(self) -> None:
        _check_byzantine(self.byzantine)


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedNormClip:
    """The weighted mean after pulling each update towards the median to at most a distance.

    The centre is the median of each element, because whoever recomputes a round has nothing but its
    updates; the paper clips around the last round's result.
    """

    kind: Literal["norm_clip"] = "norm_clip"
    radius: int = 1 << SCALE_BITS
    """Largest distance from the centre, in quantised units (2⁻²⁴)."""

    def __post_init__(self) -> None:
        if not 1 <= self.radius <= 1 << 62:
            raise ValueError(f"radius: must be from 1 to 2^62 quantised units, got {self.radius}")


Rule = Union[FixedFedAvg, FixedMedian, FixedTrimmedMean, FixedMultiKrum, FixedBulyan, FixedNormClip]
"""A rule that replicas can recompute."""

RULES: dict[str, type[Rule]] = {
    "fedavg": FixedFedAvg,
    "median": FixedMedian,
    "trimmed_mean": FixedTrimmedMean,
    "multi_krum": FixedMultiKrum,
    "bulyan": FixedBulyan,
    "norm_clip": FixedNormClip,
}
"""The rules by their kind."""


def _check_byzantine(byzantine: int) -> None:
    if byzantine < 0:
        raise ValueError(f"byzantine: must be >= 0, got {byzantine}")


def rule_of(value: Value) -> Rule | None:
    """The rule that a task's parameters name; None for one that replicas cannot recompute.

    Raises:
        ValueError: when the value names no rule, or not the rule's own whole numbers.
    """
    match value:
        case None:
            return None
        case {"kind": str(kind), **numbers} if kind in RULES:
            known = {field.name for field in fields(RULES[kind])} - {"kind"}
            if set(numbers) == known and all(type(n) is int for n in numbers.values()):
                return RULES[kind](**numbers)  # pyright: ignore[reportArgumentType, reportCallIssue]
        case _:
            pass
    raise ValueError(f"rule: {value!r} is no rule of aggregation")


def described(rule: Rule | None) -> Value:
    """A rule as a value for a task's parameters; `rule_of` reads it."""
    if rule is None:
        return None
    return {field.name: getattr(rule, field.name) for field in fields(rule)}


def least_updates(rule: Rule | None) -> int:
    """How many updates a rule needs."""
    match rule:
        case FixedTrimmedMean(trim=trim):
            return 2 * trim + 1
        case FixedMultiKrum(byzantine=byzantine, select=select):
            return max(2 * byzantine + 3, select)
        case FixedBulyan(byzantine=byzantine):
            return 4 * byzantine + 3
        case _:
            return 1
