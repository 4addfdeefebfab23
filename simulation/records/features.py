"""From records to rows: one for each index encounter, from what was known strictly before its end.

A row sees the records of its own hospital only, and of these only what carries an earlier time than
the prediction (the end of the encounter). The label alone looks ahead, and across hospitals. Which
columns there are follows from the codebooks alone, not from the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.records.base_params import RecordsParams
from simulation.records.errors import DataError
from simulation.records.groups import Group, age_band
from simulation.records.table import Column, Index, Labels, Rows, Table
from simulation.records.tables import (
    ADMISSIONS,
    DAY_MIN,
    ENCOUNTER_KINDS,
    NOWHERE,
    SEXES,
    UNKNOWN_MIN,
    YEAR_MIN,
    Cohort,
    Events,
)

_OFFSET_MIN = 2**28  # 510 years before 1970
_SPAN_MIN = 2**30


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """The encounters at whose end something is predicted."""

    encounter: Index
    """Rows of the encounters, shape (rows,), in the order of the table."""
    label: Labels
    """1 where the outcome followed within the horizon, shape (rows,)."""


def target_of(cohort: Cohort, params: RecordsParams) -> Target:
    """The index encounters whose outcome is known, with it.

    Left out are encounters that have not ended, that end nearer to the end of the records than the
    horizon, and that the patient did not survive. An encounter that begins before the end of
    another, say a transfer, is no outcome of it.

    Raises:
        DataError: when none is left, or all have one label.
    """
    given = cohort.encounters
    horizon = params.horizon_days * DAY_MIN
    death = cohort.patients.death_min[given.patient]
    wanted = np.isin(given.kind, [ENCOUNTER_KINDS.index(kind) for kind in params.index])
    rows = np.flatnonzero(wanted & (given.end_min + horizon <= cohort.until_min))
    rows = rows[death[rows] > given.end_min[rows]]
    outcome = np.isin(given.kind, [ENCOUNTER_KINDS.index(kind) for kind in params.outcome])
    log = _Log(given.patient[outcome], given.start_min[outcome])
    patient, end = given.patient[rows], given.end_min[rows]
    label = (log.count(patient, end + 1, end + horizon + 1) > 0).astype(np.int64)
    if len(np.unique(label)) < 2:
        raise DataError(
            f"data: {len(rows)} encounters of kind {', '.join(params.index)} have a known outcome, "
            "and not both labels occur; choose other kinds (index, outcome) or another horizon_days"
        )
    return Target(rows, label)


def features_of(cohort: Cohort, params: RecordsParams) -> Table:
    """One row for each index encounter; see the module's docstring for what it may see.

    Raises:
        DataError: as for `target_of`.
    """
    target = target_of(cohort, params)
    given = cohort.encounters
    # Asked in the order of the logs, searches walk through memory instead of jumping about in it.
    order = np.lexsort(
        [key[target.encounter] for key in (given.end_min, given.hospital, given.patient)]
    )
    back = np.argsort(order)
    history = _History(cohort, target.encounter[order])
    parts = [
        *_demographics(cohort, history),
        *_visits(cohort, history, params.lookback_days),
        *_principal(cohort, history),
        *_active("condition", cohort.conditions, cohort, history),
        *_active("drug", cohort.medications, cohort, history),
        *_measured(cohort, history, max(params.lookback_days) * DAY_MIN),
    ]
    rows = target.encounter
    present, site = np.unique(given.hospital[rows], return_inverse=True)
    return Table(
        features=tuple(part.column.name for part in parts),
        columns=tuple(part.column for part in parts),
        x=np.column_stack([part.values for part in parts])[back],
        y=target.label,
        low=np.array([part.low for part in parts]),
        high=np.array([part.high for part in parts]),
        site=site,
        sites=tuple(cohort.hospitals[i] for i in present),
        patient=given.patient[rows],
        time_min=given.end_min[rows],
        horizon_min=params.horizon_days * DAY_MIN,
        groups=_groups(cohort, rows),
        risk=None if cohort.risk is None else cohort.risk[rows],
        notes=_ageless(cohort, rows),
    )


def _groups(cohort: Cohort, rows: Index) -> dict[str, Group]:
    """Sex, and age at the prediction."""
    person = cohort.encounters.patient[rows]
    sex = np.array(SEXES)[cohort.patients.sex[person]]
    return {"sex": sex, "age": age_band(_age(cohort, rows))}


def _age(cohort: Cohort, rows: Index) -> Rows:
    """Age at the end of encounters, in years; NaN where nobody knows the birth."""
    born = cohort.patients.birth_min[cohort.encounters.patient[rows]]
    age = (cohort.encounters.end_min[rows] - born) / YEAR_MIN
    return np.where(born == UNKNOWN_MIN, np.nan, age)


def _ageless(cohort: Cohort, rows: Index) -> tuple[str, ...]:
    """What must be said where births are not known."""
    without = int(np.isnan(_age(cohort, rows)).sum())
    said = (
        f"data: {without} of {len(rows)} rows are of patients without a birth date: age is missing"
    )
    return (said,) if without else ()


@dataclass(frozen=True, eq=False, repr=False)
class _Part:
    """One column under construction."""

    column: Column
    values: Rows
    low: float
    high: float


class _Log:
    """Times of events by group, sorted, so that a window is counted with two searches."""

    def __init__(self, group: Index, time_min: Index) -> None:
        self.order = np.argsort(_key(group, time_min), kind="stable")
        self.key = _key(group, time_min)[self.order]

    def count(self, group: Index, since_min: Index | int, before_min: Index) -> Index:
        """Events of each group with since <= time < before."""
        return self.before(group, before_min) - self.before(group, since_min)

    def before(self, group: Index, time_min: Index | int) -> Index:
        """Position of the first event of the group that is not before a time."""
        return np.searchsorted(self.key, _key(group, time_min), side="left")


def _key(group: Index, time_min: Index | int) -> Index:
    return group * _SPAN_MIN + np.clip(np.asarray(time_min) + _OFFSET_MIN, 0, _SPAN_MIN - 1)


class _History:
    """Who asks, and when: patient at one hospital, and the time of the prediction."""

    def __init__(self, cohort: Cohort, encounter: Index) -> None:
        given = cohort.encounters
        self.sites = len(cohort.hospitals)
        self.encounter = encounter
        self.patient = given.patient[encounter]
        self.group = self.patient * self.sites + given.hospital[encounter]
        self.time_min = given.end_min[encounter]

    def group_of(self, cohort: Cohort, patient: Index, encounter: Index) -> Index:
        """Patient at one hospital for records; a record of no encounter is at no hospital."""
        hospital = cohort.encounters.hospital[encounter]
        return np.where(encounter == NOWHERE, -1, patient * self.sites + hospital)


def _number(name: str, values: NDArray[np.generic], low: float, high: float) -> _Part:
    return _Part(Column(name), np.asarray(values, dtype=np.float64), low, high)


def _levels(name: str, values: Index, levels: Sequence[str]) -> _Part:
    return _Part(Column(name, tuple(levels)), values.astype(np.float64), 0.0, 1.0)


def _demographics(cohort: Cohort, history: _History) -> Iterator[_Part]:
    given, rows = cohort.encounters, history.encounter
    age = _age(cohort, history.encounter)
    yield _number("age_years", age, 0.0, 100.0)
    yield _levels("sex", cohort.patients.sex[history.patient], SEXES)
    yield _levels("encounter", given.kind[rows], ENCOUNTER_KINDS)
    yield _levels("admission", given.admission[rows], ADMISSIONS)
    days = (given.end_min[rows] - given.start_min[rows]) / DAY_MIN
    yield _number("log_days", np.log1p(days), 0.0, 4.0)


def _visits(cohort: Cohort, history: _History, windows: Sequence[int]) -> Iterator[_Part]:
    """Earlier encounters by kind. An encounter is known about from its end, so it counts then."""
    given = cohort.encounters
    group = given.patient * history.sites + given.hospital
    for kind in ("inpatient", "emergency", "ambulatory"):
        of_kind = given.kind == ENCOUNTER_KINDS.index(kind)
        log = _Log(group[of_kind], given.end_min[of_kind])
        for days in windows:
            since = history.time_min - days * DAY_MIN
            count = log.count(history.group, since, history.time_min)
            yield _number(f"{kind}_{days}d", np.log1p(count), 0.0, 2.0)


def _principal(cohort: Cohort, history: _History) -> Iterator[_Part]:
    """Category of the first condition of the encounter that was recorded before its end."""
    names, group = cohort.conditions.book.categories()
    given = cohort.conditions
    of = given.encounter
    known = of != NOWHERE
    known[known] = given.start_min[known] < cohort.encounters.end_min[of[known]]
    rows = np.flatnonzero(known)[::-1]
    first = np.full(len(cohort.encounters.id), len(names))
    first[of[rows]] = group[given.code[rows]]  # written backwards: the first one stays
    yield _levels("principal", first[history.encounter], (*names, "none"))


def _active(prefix: str, events: Events, cohort: Cohort, history: _History) -> Iterator[_Part]:
    """1 where a code of the category had begun, and had not ended, before the prediction."""
    names, group_of = events.book.categories()
    category = group_of[events.code] if len(events.code) else events.code
    group = history.group_of(cohort, events.patient, events.encounter)
    order = np.argsort(category, kind="stable")
    bounds = np.searchsorted(category[order], np.arange(len(names) + 1))
    for i, name in enumerate(names):
        rows = order[bounds[i] : bounds[i + 1]]
        begun = _Log(group[rows], events.start_min[rows])
        ended = _Log(group[rows], events.end_min[rows])
        earliest = -_OFFSET_MIN
        open_ = begun.count(history.group, earliest, history.time_min) - ended.count(
            history.group, earliest, history.time_min
        )
        yield _number(f"{prefix}_{name}", open_ > 0, 0.0, 1.0)


def _measured(cohort: Cohort, history: _History, window_min: int) -> Iterator[_Part]:
    """The last value of each code within the window; missing where there is none."""
    given = cohort.observations
    rows = np.flatnonzero(np.isfinite(given.value))
    group = history.group_of(cohort, given.patient[rows], given.encounter[rows])
    since = history.time_min - window_min
    whole = _Log(group, given.time_min[rows])
    count = whole.count(history.group, since, history.time_min)
    yield _number("log_measurements", np.log1p(count), 0.0, 5.0)
    order = np.argsort(given.code[rows], kind="stable")
    bounds = np.searchsorted(given.code[rows][order], np.arange(len(given.book.codes) + 1))
    for i, code in enumerate(given.book.codes):
        of = order[bounds[i] : bounds[i + 1]]
        log = _Log(group[of], given.time_min[rows][of])
        last = log.before(history.group, history.time_min) - 1
        known = log.count(history.group, since, history.time_min) > 0
        values = np.append(given.value[rows][of][log.order], np.nan)[last]  # -1: none
        low, high = float(given.low[i]), float(given.high[i])
        yield _number(f"last_{code}", np.where(known, values, np.nan), low, high)
