"""The truth, as hospitals write it down: visits, codes, values, orders and notes in tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.base.rng import Streams
from simulation.records.synthetic.clinical import CONDITIONS, DRUGS, REASONS, VALUES
from simulation.records.synthetic.course import UNTIL_MIN, Courses, Stays, visit_key
from simulation.records.synthetic.hospitals import DIFFERENCES, Hospitals, Numbers, draw
from simulation.records.synthetic.notes import DischargeNotes
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.synthetic.people import (
    CONDITION,
    People,
    Physiology,
    draw_people,
    in_units,
    sigmoid,
)
from simulation.records.synthetic.risk import COURSE
from simulation.records.table import Index
from simulation.records.tables import (
    ADMISSIONS,
    DAY_MIN,
    ENCOUNTER_KINDS,
    NEVER,
    YEAR_MIN,
    Codebook,
    Cohort,
    Encounters,
    Events,
    Notes,
    Observations,
    Patients,
)

_HOUR_MIN = 60
_STAY, _EMERGENCY, _CLINIC = (
    ENCOUNTER_KINDS.index(kind) for kind in ("inpatient", "emergency", "ambulatory")
)
_SYMPTOMS = (
    ("R07.9", "Chest pain, unspecified"),
    ("R10.9", "Unspecified abdominal pain"),
    ("R55", "Syncope and collapse"),
    ("S93.409A", "Sprain of ankle"),
)
_AMBULATORY_SHARE = 0.5  # of the usual ordering: a visit is shorter than a stay


def build(params: SyntheticParams, count: int, streams: Streams) -> Cohort:
    """The records of ``count`` hospitals, all from the seed."""
    hospitals = draw(params, count, streams)
    people = draw_people(hospitals, streams)
    visits = _visits(params, people, hospitals, streams)
    keys = np.sort(visit_key(visits.patient, visits.start_min)[visits.kind == _EMERGENCY])
    rng = streams.stream("records", "synthetic", "course")
    stays = Courses(params, hospitals, people, keys, rng).draw()
    facts = _facts(stays, _outside(visits, stays, people))
    recorder = _Recorder(params, hospitals, people, facts, streams)
    patients = Patients(
        id=_names("P", len(people.home)),
        birth_min=people.birth_min,
        death_min=people.death_min,
        sex=people.sex,
    )
    encounters = Encounters(
        id=_names("E", len(facts.kind)),
        patient=facts.patient,
        hospital=facts.hospital,
        start_min=facts.start_min,
        end_min=facts.end_min,
        kind=facts.kind,
        admission=facts.admission,
    )
    conditions, medications = recorder.conditions(), recorder.medications()
    observations = recorder.observations(stays)
    rows = np.flatnonzero(facts.kind == _STAY)
    text = DischargeNotes(rows, patients, encounters, conditions, observations, medications)
    return Cohort(
        hospitals=tuple(f"H{i:03d}" for i in range(count)),
        patients=patients,
        encounters=encounters,
        conditions=conditions,
        observations=observations,
        medications=medications,
        notes=Notes(facts.patient[rows], rows, facts.end_min[rows], text),
        until_min=UNTIL_MIN,
        risk=facts.risk,
    )


def _names(prefix: str, count: int) -> NDArray[np.str_]:
    return np.array([f"{prefix}{i:07d}" for i in range(count)])


@dataclass(eq=False, repr=False, slots=True)
class _Facts:
    """All encounters by time of beginning; every array has one row for each."""

    patient: Index
    hospital: Index
    start_min: Index
    end_min: Index
    kind: Index
    admission: Index
    reason: Index
    """Position in `REASONS`, then in `_SYMPTOMS`; -1 for a clinic visit."""
    acuity: Numbers
    risk: Numbers
    stay: Index
    """Row among the stays, or -1."""


def _visits(
    params: SyntheticParams, people: People, hospitals: Hospitals, streams: Streams
) -> _Facts:
    """Emergency and clinic visits without admission, spread over the whole time."""
    rng = streams.stream("records", "synthetic", "visits")
    parts: list[tuple[Index, Index]] = []
    for kind, rate in ((_EMERGENCY, COURSE.visits_a_year), (_CLINIC, COURSE.clinic_a_year)):
        number = rng.poisson(rate * COURSE.years * np.exp(0.5 * people.frailty))
        patient = np.repeat(np.arange(len(number)), number)
        parts.append((patient, np.full(len(patient), kind)))
    patient, kind = (np.concatenate(part) for part in zip(*parts, strict=True))
    count = len(patient)
    start = rng.integers(COURSE.start_min, UNTIL_MIN - DAY_MIN, count)
    away = rng.random(count) < params.visited_elsewhere
    other = rng.choice(len(hospitals), count, p=hospitals.patients / hospitals.patients.sum())
    symptom = len(REASONS) + rng.integers(0, len(_SYMPTOMS), count)
    return _Facts(
        patient=patient,
        hospital=np.where(away, other, people.home[patient]),
        start_min=start,
        end_min=start + rng.integers(_HOUR_MIN, 8 * _HOUR_MIN, count),
        kind=kind,
        admission=np.zeros(count, dtype=np.int64),
        reason=np.where(kind == _EMERGENCY, symptom, -1),
        acuity=np.zeros(count),
        risk=np.full(count, np.nan),
        stay=np.full(count, -1),
    )


def _outside(visits: _Facts, stays: Stays, people: People) -> _Facts:
    """The visits that do not fall into a stay, or after death."""
    order = np.argsort(visit_key(stays.patient, stays.start_min))
    starts = visit_key(stays.patient, stays.start_min)[order]
    ends = visit_key(stays.patient, stays.end_min)[order]
    key, over = (visit_key(visits.patient, t) for t in (visits.start_min, visits.end_min))
    before = np.searchsorted(starts, over, side="right") - 1  # last stay that begins before the end
    inside = (before >= 0) & (ends[np.maximum(before, 0)] >= key)
    keep = ~inside & (visits.end_min < people.death_min[visits.patient])
    return _Facts(*(getattr(visits, name)[keep] for name in _Facts.__slots__))


def _facts(stays: Stays, visits: _Facts) -> _Facts:
    elective, emergency = ADMISSIONS.index("elective"), ADMISSIONS.index("emergency")
    count = len(stays.patient)
    inside = _Facts(
        patient=stays.patient,
        hospital=stays.hospital,
        start_min=stays.start_min,
        end_min=stays.end_min,
        kind=np.full(count, _STAY),
        admission=np.where(stays.emergency, emergency, elective),
        reason=stays.reason,
        acuity=stays.acuity,
        risk=stays.risk,
        stay=np.arange(count),
    )
    together = [
        np.concatenate([getattr(inside, name), getattr(visits, name)]) for name in _Facts.__slots__
    ]
    order = np.argsort(np.concatenate([inside.start_min, visits.start_min]), kind="stable")
    return _Facts(*(part[order] for part in together))


class _Recorder:
    """What hospitals see and write, with their habits."""

    def __init__(
        self,
        params: SyntheticParams,
        hospitals: Hospitals,
        people: People,
        facts: _Facts,
        streams: Streams,
    ) -> None:
        self.params, self.hospitals, self.people, self.facts = params, hospitals, people, facts
        self.rng = streams.stream("records", "synthetic", "recording")
        self.years = (facts.start_min - COURSE.start_min) / YEAR_MIN
        self.has = people.conditions_at(facts.patient, facts.start_min)

    def conditions(self) -> Events:
        """The reason first, then the chronic conditions that are coded, each its own way."""
        facts, home = self.facts, self.facts.hospital
        growth = self.params.drift * DIFFERENCES.coding_a_year * (self.years - COURSE.years / 2)
        coded = self.has & (
            self.rng.random(self.has.shape)
            < sigmoid(self.hospitals.completeness[home] + growth)[:, None]
        )
        coded &= (facts.kind != _EMERGENCY)[:, None]  # a short visit codes its reason alone
        precise = (
            self.rng.random(self.has.shape)
            < sigmoid(self.hospitals.precision[home] + growth)[:, None]
        )
        book, reasons, fine, loose = _codes()
        encounter, chronic = np.nonzero(coded)
        main = np.flatnonzero(facts.reason >= 0)
        rows = np.concatenate([main, encounter])
        codes = np.where(precise[encounter, chronic], fine[chronic], loose[chronic])
        code = np.concatenate([reasons[facts.reason[main]], codes])
        never = np.full(len(encounter), NEVER)
        ends = np.concatenate([facts.end_min[main], never])
        order = np.argsort(rows, kind="stable")  # keeps the reason before the rest
        rows = rows[order]
        return Events(
            facts.patient[rows], rows, code[order], facts.start_min[rows], ends[order], book
        )

    def medications(self) -> Events:
        """Prescriptions an hour before discharge, for ninety days to a year."""
        facts, rng = self.facts, self.rng
        count = len(self.people.home)
        chosen = rng.random((count, len(DRUGS))) < np.array([drug.share for drug in DRUGS])
        for_ = [CONDITION[drug.of] for drug in DRUGS]
        given = chosen[facts.patient] & self.has[:, for_] & (facts.kind == _STAY)[:, None]
        given &= rng.random(given.shape) < 0.9
        rows, code = np.nonzero(given)
        start = np.maximum(facts.end_min[rows] - _HOUR_MIN, facts.start_min[rows])
        end = start + rng.integers(90, 366, len(rows)) * DAY_MIN
        book = Codebook(tuple(d.code for d in DRUGS), tuple(d.name for d in DRUGS), "RxNorm")
        return Events(facts.patient[rows], rows, code.astype(np.int64), start, end, book)

    def observations(self, stays: Stays) -> Observations:
        """Values on admission and before discharge, and once at a visit."""
        facts = self.facts
        inside, visit = np.flatnonzero(facts.stay >= 0), np.flatnonzero(facts.stay < 0)
        first, last = (v[facts.stay[inside]] for v in (stays.first, stays.last))
        physiology = Physiology(self.people, self.params.noise)
        calm = np.full(len(visit), -0.5)
        outside = in_units(
            physiology.standard(facts.patient[visit], self.has[visit], calm, self.rng)
        )
        early = facts.start_min[inside] + _HOUR_MIN
        late = np.maximum(facts.end_min[inside] - 3 * _HOUR_MIN, early)
        parts = [
            self._measure(inside, first, early, 1.0),
            self._measure(inside, last, late, 0.8),
            self._measure(visit, outside, facts.start_min[visit] + 30, _AMBULATORY_SHARE),
        ]
        rows, code, time, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        return Observations(
            patient=facts.patient[rows],
            encounter=rows,
            code=code[order],
            time_min=time[order],
            value=value[order],
            book=Codebook(tuple(v.code for v in VALUES), tuple(v.name for v in VALUES), "LOINC"),
            units=tuple(v.unit for v in VALUES),
            low=np.array([v.low for v in VALUES]),
            high=np.array([v.high for v in VALUES]),
        )

    def _measure(
        self, rows: Index, true: Numbers, time_min: Index, share: float
    ) -> tuple[Index, Index, Index, Numbers]:
        """What of the true values is ordered, and what the laboratory makes of it."""
        facts, rng = self.facts, self.rng
        home = facts.hospital[rows]
        logit = np.array([np.log(v.ordered * share / (1 - v.ordered * share)) for v in VALUES])
        ill = 0.4 * facts.acuity[rows][:, None]
        ordered = rng.random(true.shape) < sigmoid(logit + self.hospitals.ordering[home] + ill)
        year = (self.years[rows] - COURSE.years / 2)[:, None]
        bias = self.hospitals.bias[home] + self.hospitals.bias_a_year[home] * year
        analytic = self.params.noise * 0.15 * rng.standard_normal(true.shape)
        columns: list[Numbers] = []
        for i, value in enumerate(VALUES):
            off = value.between * (bias[:, i] + analytic[:, i])
            seen = true[:, i] * np.exp(off) if value.log else true[:, i] + off
            columns.append(np.round(np.clip(seen, value.low, value.high), value.digits))
        encounter, code = np.nonzero(ordered)
        seen = np.column_stack(columns)[encounter, code]
        return rows[encounter], code.astype(np.int64), time_min[encounter], seen


def _codes() -> tuple[Codebook, Index, Index, Index]:
    """The codebook, and in it: reasons and symptoms, precise codes, loose codes."""
    texts = {reason.code: reason.display for reason in REASONS}
    texts |= dict(_SYMPTOMS)
    for condition in CONDITIONS:
        loose = f"{condition.name.capitalize()}, unspecified"
        texts.setdefault(condition.unspecified, loose)
        texts[condition.code] = condition.display
    codes = tuple(sorted(texts))
    number = {code: i for i, code in enumerate(codes)}
    reasons = [number[code] for code in (*(r.code for r in REASONS), *(c for c, _ in _SYMPTOMS))]
    fine = [number[condition.code] for condition in CONDITIONS]
    loose = [number[condition.unspecified] for condition in CONDITIONS]
    book = Codebook(codes, tuple(texts[code] for code in codes), "ICD-10-CM")
    return book, np.array(reasons), np.array(fine), np.array(loose)
