"""How hospitals differ: size, case mix, coding, measuring, ordering, and change over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.base.rng import Streams
from simulation.records.synthetic.clinical import CONDITIONS, VALUES
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.synthetic.risk import COURSE

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """Deviations between hospitals at the strength 1 of the configuration (all are choices)."""

    age_years: float = 4.0
    """Of the mean age of patients, years."""
    prevalence: float = 0.35
    """Of the log odds of each condition."""
    acuity: float = 0.3
    """Of acuity, in its own deviations."""
    completeness: float = 0.8
    """Of the log odds that a condition that is there is coded."""
    precision: float = 1.0
    """Of the log odds that the precise code is used."""
    ordering: float = 0.8
    """Of the log odds that a value is measured."""
    coding_a_year: float = 0.12
    """Growth of the log odds of coding a year: documentation has become fuller."""
    bias_a_year: float = 0.3
    """Change of a laboratory's bias a year, in units of the usual bias."""
    acuity_a_year: float = 0.04
    """Growth of acuity a year: the lighter cases are treated at home."""


DIFFERENCES = Differences()
"""The constants in use."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Hospitals:
    """What makes each hospital its own; first axis: hospitals."""

    patients: NDArray[np.int64]
    """Patients whose home it is."""
    age: Numbers
    """Shift of age, years."""
    prevalence: Numbers
    """Shift of log odds, shape (hospitals, conditions)."""
    acuity: Numbers
    """Shift of acuity."""
    completeness: Numbers
    """Log odds of coding a condition."""
    precision: Numbers
    """Log odds of the precise code."""
    bias: Numbers
    """Bias of values in units of ``between``, shape (hospitals, values)."""
    bias_a_year: Numbers
    """Its change a year, shape (hospitals, values)."""
    ordering: Numbers
    """Shift of the log odds of measuring, shape (hospitals, values)."""
    readmission: Numbers
    """Shift of the log odds of readmission."""

    def __len__(self) -> int:
        return len(self.patients)


def draw(params: SyntheticParams, count: int, streams: Streams) -> Hospitals:
    """The hospitals. Each has a stream of its own, so one more does not change the others' habits
    (their sizes share one total, so these do).
    """
    usual = DIFFERENCES
    per_value = np.array([value.bias for value in VALUES])
    normals = np.array(
        [
            streams.stream("records", "synthetic", "hospital", hospital).standard_normal(
                6 + len(CONDITIONS) + 3 * len(VALUES)
            )
            for hospital in range(count)
        ]
    )
    single, rest = normals[:, :6], normals[:, 6:]
    conditions, rest = rest[:, : len(CONDITIONS)], rest[:, len(CONDITIONS) :]
    bias, slope, ordering = np.split(rest, 3, axis=1)
    size = np.exp(params.size_spread * single[:, 0])
    patients = np.round(size / size.sum() * params.patients_per_hospital * count).astype(np.int64)
    return Hospitals(
        patients=np.maximum(patients, 20),
        age=params.case_mix * usual.age_years * single[:, 1],
        prevalence=params.case_mix * usual.prevalence * conditions,
        acuity=params.case_mix * usual.acuity * single[:, 2],
        completeness=1.4 + params.coding * usual.completeness * single[:, 3],
        precision=0.4 + params.coding * usual.precision * single[:, 4],
        bias=params.measurement * per_value * bias,
        bias_a_year=params.drift * params.measurement * usual.bias_a_year * per_value * slope,
        ordering=params.missingness * usual.ordering * ordering,
        readmission=params.effect * COURSE.between * single[:, 5],
    )
