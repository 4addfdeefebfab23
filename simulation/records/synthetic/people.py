"""Who the patients are, and what their bodies show at a time: the truth that hospitals measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.base.rng import Streams
from simulation.records.synthetic.clinical import CONDITIONS, PROMOTES, SHIFTS, TOGETHER, VALUES
from simulation.records.synthetic.hospitals import Hospitals, Numbers
from simulation.records.synthetic.risk import COURSE
from simulation.records.table import Index
from simulation.records.tables import NEVER, YEAR_MIN

CONDITION = {condition.name: i for i, condition in enumerate(CONDITIONS)}
"""Position of a condition by its name."""
VALUE = {value.name: i for i, value in enumerate(VALUES)}
"""Position of a value by its name."""


@dataclass(eq=False, repr=False, slots=True)
class People:
    """The patients; first axis: patients."""

    home: Index
    """Hospital."""
    birth_min: Index
    sex: Index
    """0 female, 1 male."""
    frailty: Numbers
    """Standard normal; never recorded."""
    baseline: Numbers
    """Each person's own level of each value in units of ``between``, shape (patients, values)."""
    onset_min: Index
    """When each condition began, or `NEVER`, shape (patients, conditions)."""
    death_min: Index
    """When they died in hospital, or `NEVER`."""

    def conditions_at(self, rows: Index, time_min: Index) -> NDArray[np.bool_]:
        """Which conditions they have at a time, shape (rows, conditions)."""
        return self.onset_min[rows] <= time_min[:, None]


def draw_people(hospitals: Hospitals, streams: Streams) -> People:
    """Everybody at the beginning of the records."""
    rng = streams.stream("records", "synthetic", "people")
    home = np.repeat(np.arange(len(hospitals)), hospitals.patients)
    count = len(home)
    age = np.clip(rng.normal(62.0, 17.0, count) + hospitals.age[home], 18.0, 97.0)
    start = COURSE.start_min
    logit = np.array([np.log(c.prevalence / (1 - c.prevalence)) for c in CONDITIONS])
    logit = logit + np.outer((age - 60) / 10, [c.per_decade for c in CONDITIONS])
    logit += hospitals.prevalence[home]
    has = np.zeros((count, len(CONDITIONS)), dtype=np.bool_)
    pull_of = promotes()
    for i in range(
        len(CONDITIONS)
    ):  # in order, so that earlier conditions make later ones likelier
        pull = has @ pull_of[:, i] - 0.4 * (pull_of[:, i] > 0).any()
        has[:, i] = rng.random(count) < sigmoid(logit[:, i] + pull)
    before = start - np.round(rng.exponential(5 * YEAR_MIN, has.shape)).astype(np.int64) - 1
    mixing = np.linalg.cholesky(_correlations())
    return People(
        home=home,
        birth_min=start - np.round(age * YEAR_MIN).astype(np.int64),
        sex=rng.integers(0, 2, count),
        frailty=rng.standard_normal(count),
        baseline=rng.standard_normal((count, len(VALUES))) @ mixing.T,
        onset_min=np.where(has, before, NEVER),
        death_min=np.full(count, NEVER),
    )


def promotes() -> Numbers:
    """`PROMOTES` as a matrix, shape (conditions, conditions)."""
    matrix = np.zeros((len(CONDITIONS), len(CONDITIONS)))
    for first, second, ratio in PROMOTES:
        matrix[CONDITION[first], CONDITION[second]] = ratio
    return matrix


def _correlations() -> Numbers:
    matrix = np.eye(len(VALUES))
    for first, second, correlation in TOGETHER:
        matrix[VALUE[first], VALUE[second]] = matrix[VALUE[second], VALUE[first]] = correlation
    return matrix


def sigmoid(logit: Numbers) -> Numbers:
    """The probability of log odds."""
    return 1 / (1 + np.exp(-logit))


@dataclass(eq=False, repr=False)
class Physiology:
    """True values of people at a time."""

    people: People
    noise: float

    def __post_init__(self) -> None:
        self.shifts = np.zeros((len(CONDITIONS), len(VALUES)))
        for condition, value, shift in SHIFTS:
            self.shifts[CONDITION[condition], VALUE[value]] = shift
        self.mixing = np.linalg.cholesky(_correlations())
        self.within = np.array([value.within for value in VALUES])
        self.acute = np.array([value.acute for value in VALUES])

    def standard(
        self, rows: Index, has: NDArray[np.bool_], acuity: Numbers, rng: np.random.Generator
    ) -> Numbers:
        """Values in units of ``between`` around the healthy mean, shape (rows, values)."""
        daily = rng.standard_normal((len(rows), len(VALUES))) @ self.mixing.T
        moved = has @ self.shifts + np.outer(acuity, self.acute)
        return self.people.baseline[rows] + moved + self.noise * self.within * daily


def in_units(standard: Numbers) -> Numbers:
    """Values in their own units, within what a living adult can have, shape (rows, values)."""
    columns = [
        np.clip(
            value.mean * np.exp(value.between * column)
            if value.log
            else value.mean + value.between * column,
            value.low,
            value.high,
        )
        for value, column in zip(VALUES, standard.T, strict=True)
    ]
    return np.column_stack(columns)
