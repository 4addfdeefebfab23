"""Patients and their stays: what truly happens, before anybody writes it down.

All patients take their next stay at the same step, so a step is a handful of array operations and
a cohort needs as many steps as its busiest patient has stays. A stay's readmission is drawn with a
probability that is kept: it is the ceiling of what can be predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.records.synthetic.clinical import CONDITIONS, ELECTIVE, REASONS
from simulation.records.synthetic.hospitals import DIFFERENCES, Hospitals, Numbers
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.synthetic.people import (
    CONDITION,
    VALUE,
    People,
    Physiology,
    in_units,
    promotes,
    sigmoid,
)
from simulation.records.synthetic.risk import COURSE
from simulation.records.table import Index
from simulation.records.tables import DAY_MIN, NEVER, YEAR_MIN

UNTIL_MIN = COURSE.start_min + round(COURSE.years * YEAR_MIN)
"""End of the records."""

_MONTH_MIN = 30 * DAY_MIN
_SPAN_MIN = 2**30


@dataclass(eq=False, repr=False, slots=True)
class Stays:
    """Stays in the order in which they were drawn; every array has one row for each."""

    patient: Index
    hospital: Index
    start_min: Index
    end_min: Index
    reason: Index
    """Position in `REASONS`."""
    emergency: NDArray[np.bool_]
    acuity: Numbers
    """How ill on admission."""
    first: Numbers
    """True values on admission, in their units, shape (stays, values)."""
    last: Numbers
    """True values at discharge, shape (stays, values)."""
    risk: Numbers
    """Probability of readmission within 30 days; NaN for those who died."""


@dataclass(eq=False, repr=False)
class Courses:
    """Draws everybody's stays, step by step."""

    params: SyntheticParams
    hospitals: Hospitals
    people: People
    visits: Index
    """Times of emergency visits, as sorted keys of patient and time (see `visit_key`)."""
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.physiology = Physiology(self.people, self.params.noise)
        self.promotes = promotes()
        self.ends: list[Index] = []
        self.carried = np.zeros(len(self.people.home))
        share = self.hospitals.patients / self.hospitals.patients.sum()
        self.share = np.cumsum(share)

    def draw(self) -> Stays:
        """All stays of all patients."""
        count = len(self.people.home)
        seen = np.full(count, COURSE.start_min)
        begin = COURSE.start_min + self._quiet(np.arange(count))
        rows = np.flatnonzero(begin < UNTIL_MIN)
        steps: list[Stays] = []
        while len(rows):
            start = begin[rows]
            self._evolve(rows, seen[rows], start)
            stays, gap = self._step(rows, start)
            steps.append(stays)
            seen[rows] = stays.end_min
            begin[rows] = stays.end_min + gap
            rows = rows[begin[rows] < UNTIL_MIN]
        names = Stays.__slots__
        return Stays(*(np.concatenate([getattr(s, name) for s in steps]) for name in names))

    def _quiet(self, rows: Index) -> Index:
        mean = COURSE.quiet_days * DAY_MIN * np.exp(-0.5 * self.people.frailty[rows])
        return np.round(self.rng.exponential(mean)).astype(np.int64)

    def _evolve(self, rows: Index, since: Index, until: Index) -> None:
        """New conditions since the last look, at a hazard that the present ones and age raise."""
        has = self.people.conditions_at(rows, since)
        decades = (since - self.people.birth_min[rows]) / YEAR_MIN / 10 - 6
        hazard = np.array([c.onset for c in CONDITIONS]) * np.exp(
            np.outer(decades, [c.per_decade for c in CONDITIONS]) + has @ self.promotes
        )
        span = (until - since)[:, None]
        new = (self.rng.random(hazard.shape) < -np.expm1(-hazard * span / YEAR_MIN)) & ~has
        when = since[:, None] + (self.rng.random(hazard.shape) * span).astype(np.int64)
        self.people.onset_min[rows] = np.where(new, when, self.people.onset_min[rows])

    def _step(self, rows: Index, start: Index) -> tuple[Stays, Index]:
        """The next stay of some patients, and how long after it the following one begins."""
        rng = self.rng
        has = self.people.conditions_at(rows, start)
        hospital = self._where(rows)
        reason = self._reason(has)
        years = (start - COURSE.start_min) / YEAR_MIN
        self.carried[rows] = 0.5 * self.carried[rows] + rng.normal(0, 0.8, len(rows))
        acuity = (
            self.carried[rows]
            + np.array([r.acute for r in REASONS])[reason]
            + self.hospitals.acuity[hospital]
            + self.params.drift * DIFFERENCES.acuity_a_year * years
        )
        planned = reason == [r.code for r in REASONS].index(ELECTIVE)
        emergency = ~planned & (rng.random(len(rows)) < 0.93)
        days = np.clip(np.exp(rng.normal(1.2 + 0.22 * acuity, 0.55)), 0.4, 60.0)
        end = start + np.round(days * DAY_MIN).astype(np.int64)
        first = in_units(self.physiology.standard(rows, has, acuity, rng))
        last = in_units(self.physiology.standard(rows, has, COURSE.recovery * acuity, rng))
        died = rng.random(len(rows)) < sigmoid(COURSE.death + COURSE.death_acuity * acuity)
        self.people.death_min[rows[died]] = end[died]
        risk = self._risk(rows, hospital, end, days, emergency, acuity, last, has)
        again = rng.random(len(rows)) < risk
        soon = 1 + np.floor(rng.beta(1.0, 1.6, len(rows)) * (_MONTH_MIN - 1)).astype(np.int64)
        gap = np.where(again, soon, _MONTH_MIN + 1 + self._quiet(rows))
        gap = np.where(died, NEVER, gap)
        ends = np.full(len(self.people.home), -NEVER)
        ends[rows] = end
        self.ends.append(ends)
        risk = np.where(died, np.nan, risk)
        return Stays(rows, hospital, start, end, reason, emergency, acuity, first, last, risk), gap

    def _where(self, rows: Index) -> Index:
        away = self.rng.random(len(rows)) < self.params.visited_elsewhere
        other = np.searchsorted(self.share, self.rng.random(len(rows)), side="right")
        return np.where(away, np.minimum(other, len(self.share) - 1), self.people.home[rows])

    def _reason(self, has: NDArray[np.bool_]) -> Index:
        weights = np.column_stack(
            [
                np.where(has[:, CONDITION[r.of]], r.weight * r.times, r.weight)
                if r.of
                else np.full(len(has), r.weight)
                for r in REASONS
            ]
        )
        upper = np.cumsum(weights, axis=1)
        drawn = self.rng.random(len(has)) * upper[:, -1]
        return (upper < drawn[:, None]).sum(axis=1)

    def _risk(
        self,
        rows: Index,
        hospital: Index,
        end: Index,
        days: Numbers,
        emergency: NDArray[np.bool_],
        acuity: Numbers,
        last: Numbers,
        has: NDArray[np.bool_],
    ) -> Numbers:
        """Probability of another stay within 30 days; see `Course` for the terms."""
        year, half = round(365 * DAY_MIN), round(180 * DAY_MIN)
        stays = sum((ends[rows] > end - year for ends in self.ends), np.zeros(len(rows)))
        key = visit_key(rows, end)
        visits = np.searchsorted(self.visits, key) - np.searchsorted(self.visits, key - half)
        both = has[:, CONDITION["heart failure"]] & has[:, CONDITION["chronic kidney disease"]]
        decades = (end - self.people.birth_min[rows]) / YEAR_MIN / 10 - 6
        effect = (
            has @ np.array([c.risk for c in CONDITIONS])
            + COURSE.frailty * self.people.frailty[rows]
            + COURSE.acuity * acuity * COURSE.recovery
            + COURSE.stays * np.log1p(stays)
            + COURSE.emergency_visits * np.log1p(visits)
            + COURSE.emergency * emergency
            + COURSE.length * np.log1p(days) / np.log(5)
            + COURSE.anaemia * (last[:, VALUE["haemoglobin"]] < 12)
            + COURSE.hyponatraemia * (last[:, VALUE["sodium"]] < 135)
            + COURSE.pair * both
            + COURSE.per_decade * decades
        )
        return sigmoid(
            COURSE.base + self.params.effect * effect + self.hospitals.readmission[hospital]
        )


def visit_key(patient: Index, time_min: Index) -> Index:
    """One number that sorts by patient, then time."""
    return patient * _SPAN_MIN + time_min
