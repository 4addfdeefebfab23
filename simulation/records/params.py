"""What a configuration may say about records: which source, and how it is dealt to hospitals.

Nothing heavy is imported here, so that a configuration can be checked in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union

Normalisation = Literal["site", "pooled", "public", "none"]
"""``site``: mean and deviation of the hospital's own training rows; ``pooled``: of all hospitals'
training rows, which is not private; ``public``: published ranges, mapped to -1 .. 1; ``none``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BreastCancerParams:
    """Wisconsin diagnostic breast cancer: 569 real biopsies, 30 measurements, nothing to download.

    Label: 1 = malignant. It knows no hospitals: use the partition ``iid`` or ``dirichlet``.
    """

    kind: Literal["breast_cancer"] = "breast_cancer"
    """Names this source."""
    test_fraction: float = 0.2
    """Share of each hospital's rows kept for testing, between 0 and 1; stratified by label where
    every class has more than two rows."""
    split_seed: int | None = None
    """Seed of the train/test split; none: drawn from the run's seed."""
    normalisation: Normalisation = "site"
    """How inputs are scaled; ``site`` and ``pooled`` use private statistics outside the guarantee,
    ``pooled`` moreover shares them between hospitals, ``public`` uses published ranges."""

    def __post_init__(self) -> None:
        _check_fraction(self.test_fraction)
        _check_seed(self.split_seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeartDiseaseParams:
    """UCI heart disease: 740 patients of four real hospitals, prepared as in FLamby.

    Cleveland, Hungary, Switzerland, VA Long Beach; label: 1 = narrowing of a vessel by more than
    half (``num > 0``); 13 inputs. Source: FLamby, NeurIPS 2022 Datasets and Benchmarks, appendix on
    Fed-Heart-Disease. The files come from ``WARDCHAIN_DATA`` or ``wardchain data fetch``.
    """

    kind: Literal["heart_disease"] = "heart_disease"
    """Names this source."""
    test_fraction: float = 0.34
    """Share of each hospital's rows kept for testing, between 0 and 1; FLamby: 0.34."""
    split_seed: int | None = 43
    """Seed of the train/test split; FLamby: 43. None: drawn from the run's seed."""
    normalisation: Normalisation = "site"
    """How inputs are scaled; FLamby: ``site``. ``site`` and ``pooled`` use private statistics
    outside the guarantee, ``public`` uses clinical ranges."""

    def __post_init__(self) -> None:
        _check_fraction(self.test_fraction)
        _check_seed(self.split_seed)


DataParams = Union[BreastCancerParams, HeartDiseaseParams]
"""Every source that a configuration may name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NaturalParams:
    """Each hospital of the source is a hospital of the federation."""

    kind: Literal["natural"] = "natural"
    """Names this partition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IidParams:
    """All rows shuffled and dealt evenly: hospitals that differ by chance only."""

    kind: Literal["iid"] = "iid"
    """Names this partition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DirichletParams:
    """Label skew: each class is dealt to the hospitals in proportions drawn from Dirichlet(alpha).

    Source: Hsu, Qi, Brown, "Measuring the Effects of Non-Identical Data Distribution", 2019.
    """

    kind: Literal["dirichlet"] = "dirichlet"
    """Names this partition."""
    alpha: float = 0.5
    """Concentration, above 0: small gives one-sided and unequal hospitals, large tends to equal."""
    min_size: int = 20
    """The fewest rows that a hospital may get; the draw is repeated until all have so many."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha: must be a number above 0, got {self.alpha}; try 0.5")
        if self.min_size < 2:
            raise ValueError(
                f"min_size: must be at least 2 (one row to train, one to test), got {self.min_size}"
            )


PartitionParams = Union[NaturalParams, IidParams, DirichletParams]
"""Every way to deal rows to hospitals that a configuration may name."""


def _check_fraction(value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"test_fraction: must be between 0 and 1, got {value}; usual is 0.2")


def _check_seed(value: int | None) -> None:
    if value is not None and not 0 <= value < 2**32:
        raise ValueError(f"split_seed: must be between 0 and 4294967295, got {value}")
