"""What a configuration may say about dealing records to hospitals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union


@dataclass(frozen=True, kw_only=True, slots=True)
class Capped:
    """What all partitions have in common."""

    cap: int | None = None
    """The most patients that a hospital keeps; of more, so many are drawn at random and the others
    are left out, which a note counts. None: no limit."""

    def __post_init__(self) -> None:
        if self.cap is not None and self.cap < 2:
            raise ValueError(
                f"cap: must be at least 2, one to train and one to test, got {self.cap}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class NaturalParams(Capped):
    """Each hospital of the source is a hospital of the federation."""

    kind: Literal["natural"] = "natural"
    """Names this partition."""
    min_size: int = 2
    """Hospitals of the source with fewer patients are left out."""
    largest: bool = False
    """When the source has more hospitals than the federation: take the largest of them (in the
    source's order) instead of refusing."""

    def __post_init__(self) -> None:
        Capped.__post_init__(self)
        _check_min_size(self.min_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class IidParams(Capped):
    """All patients shuffled and dealt evenly: hospitals that differ by chance only."""

    kind: Literal["iid"] = "iid"
    """Names this partition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DirichletParams(Capped):
    """Label skew: each class is dealt to the hospitals in proportions drawn from Dirichlet(alpha).

    Source: Hsu, Qi, Brown, "Measuring the Effects of Non-Identical Data Distribution", 2019.
    """

    kind: Literal["dirichlet"] = "dirichlet"
    """Names this partition."""
    alpha: float = 0.5
    """Concentration, above 0: small gives one-sided and unequal hospitals, large tends to equal."""
    min_size: int = 20
    """The fewest patients that a hospital may get; the draw is repeated until all have so many."""

    def __post_init__(self) -> None:
        Capped.__post_init__(self)
        _check_alpha(self.alpha)
        _check_min_size(self.min_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantityParams(Capped):
    """Quantity skew: hospitals alike but for their size, whose shares are drawn from
    Dirichlet(alpha).

    Source: Li, Diao, Chen, He, "Federated Learning on Non-IID Data Silos", ICDE 2022, section on
    quantity skew.
    """

    kind: Literal["quantity"] = "quantity"
    """Names this partition."""
    alpha: float = 0.5
    """Concentration, above 0: small gives a few large and many small hospitals, large equal
    ones."""
    min_size: int = 20
    """The patients that every hospital gets before the others are dealt in the drawn shares."""

    def __post_init__(self) -> None:
        Capped.__post_init__(self)
        _check_alpha(self.alpha)
        _check_min_size(self.min_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureShiftParams(Capped):
    """Feature shift: hospitals of one size whose patients differ in one input, such as age.

    Patients are ordered by ``strength`` times the rank of their input plus (1 - strength) times a
    uniform draw, and cut into equal parts: the covariate shift of one input with a dial.
    """

    kind: Literal["feature_shift"] = "feature_shift"
    """Names this partition."""
    feature: str
    """Name of the input, as ``wardchain data describe --json`` lists them."""
    strength: float = 0.8
    """From 0, as ``iid``, to 1: each hospital has a range of its own. Patients whose input is
    missing are dealt at random."""

    def __post_init__(self) -> None:
        Capped.__post_init__(self)
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength: must be from 0 to 1, got {self.strength}")


PartitionParams = Union[
    NaturalParams, IidParams, DirichletParams, QuantityParams, FeatureShiftParams
]
"""Every way to deal patients to hospitals that a configuration may name."""


def _check_alpha(value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"alpha: must be a number above 0, got {value}; try 0.5")


def _check_min_size(value: int) -> None:
    if value < 2:
        raise ValueError(f"min_size: must be at least 2, one to train and one to test, got {value}")
