"""What a configuration may say about the synthetic cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulation.records.base_params import RecordsParams


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticParams(RecordsParams):
    """A cohort made from the seed: patients whose conditions evolve, stays, values, drugs, notes.

    Any number of hospitals; patients may be seen at several. Label: 1 = readmitted within 30 days,
    drawn with a probability that is known, so that the best attainable AUROC is, too. Not real: use
    it to develop methods, and real sources to report them.
    """

    kind: Literal["synthetic"] = "synthetic"
    """Names this source."""
    patients_per_hospital: int = 400
    """Mean number of patients whose home a hospital is; each has about four encounters in five
    years. Fewer than about 100 leave the smallest hospitals without enough stays to split."""
    cohort_seed: int | None = None
    """Seed of the cohort; none: drawn from the run's seed, so that each run has another cohort."""
    size_spread: float = 0.8
    """How unequal hospitals are: standard deviation of the logarithm of their size. 0 makes all
    equal; 0.8: the largest of 64 is some fifty times the smallest."""
    case_mix: float = 1.0
    """How much the patients of hospitals differ (age, prevalences, acuity); 0: not at all, 1: as
    among hospitals of one country."""
    coding: float = 1.0
    """How much hospitals differ in how completely and how precisely they code diagnoses."""
    measurement: float = 1.0
    """How much laboratories differ: bias of each value as a multiple of what is usual between
    laboratories."""
    missingness: float = 1.0
    """How much hospitals differ in what they measure; 0: all order the same tests."""
    drift: float = 1.0
    """How much coding, measuring and case mix change over the five years; 0: not at all."""
    visited_elsewhere: float = 0.12
    """Probability that an encounter is at another hospital than the patient's home, 0 to below 1.
    After major surgery a sixth to a third of readmissions are (Brooke et al., Lancet 2015)."""
    effect: float = 1.0
    """Multiple of all effects on readmission: the ceiling of AUROC grows with it; 0 makes the label
    a coin toss."""
    noise: float = 1.0
    """Multiple of analytical noise and of the day-to-day variation of values."""

    def __post_init__(self) -> None:
        RecordsParams.__post_init__(self)
        if not 20 <= self.patients_per_hospital <= 1_000_000:
            raise ValueError(
                "patients_per_hospital: must be between 20 and 1000000, got "
                f"{self.patients_per_hospital}"
            )
        for name in ("size_spread", "case_mix", "coding", "measurement", "missingness", "drift"):
            if not 0 <= getattr(self, name) <= 3:
                raise ValueError(f"{name}: must be between 0 and 3, got {getattr(self, name)}")
        for name in ("effect", "noise"):
            if not 0 <= getattr(self, name) <= 10:
                raise ValueError(f"{name}: must be between 0 and 10, got {getattr(self, name)}")
        if not 0 <= self.visited_elsewhere < 1:
            raise ValueError(
                f"visited_elsewhere: must be from 0 to below 1, got {self.visited_elsewhere}"
            )
        if self.cohort_seed is not None and not 0 <= self.cohort_seed < 2**63:
            raise ValueError(f"cohort_seed: must be between 0 and 2^63 - 1, got {self.cohort_seed}")
