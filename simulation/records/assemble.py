"""Builds the canonical tables from records that come one at a time, with text identifiers.

A record that refers to a patient or an encounter that does not exist is an error that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from simulation.records.errors import DataError
from simulation.records.table import Index
from simulation.records.tables import (
    NEVER,
    NOWHERE,
    Codebook,
    Cohort,
    Encounters,
    Events,
    Notes,
    Observations,
    Patients,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def minutes(text: str) -> int:
    """Minutes since 1970 of an ISO 8601 date or time; a date without a day or month is its first.

    A time without a zone counts as UTC.

    Raises:
        ValueError: when it is none.
    """
    padded = text + {4: "-01-01", 7: "-01"}.get(len(text), "")
    when = datetime.fromisoformat(padded)
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return int((when - _EPOCH).total_seconds() // 60)


@dataclass(eq=False, repr=False)
class _Coded:
    """A growing table of coded records."""

    system: str
    codes: dict[str, int] = field(default_factory=dict[str, int])
    displays: list[str] = field(default_factory=list[str])
    units: list[str] = field(default_factory=list[str])
    rows: list[tuple[int, int, int, int, int]] = field(
        default_factory=list[tuple[int, int, int, int, int]]
    )
    values: list[float] = field(default_factory=list[float])
    systems: dict[str, None] = field(default_factory=dict[str, None])

    def number(self, code: str, display: str, unit: str = "", system: str = "") -> int:
        """Position of a code, new or known."""
        if system:
            self.systems[system] = None
        if code not in self.codes:
            self.codes[code] = len(self.codes)
            self.displays.append(display)
            self.units.append(unit)
        return self.codes[code]

    def columns(self) -> tuple[Index, Index, Index, Index, Index]:
        """Patient, encounter, code, start, end."""
        rows = np.array(self.rows, dtype=np.int64).reshape(-1, 5)
        return rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4]

    def book(self) -> Codebook:
        """The codes, of the one system that the records name, else of the usual one."""
        system = next(iter(self.systems)) if len(self.systems) == 1 else self.system
        return Codebook(tuple(self.codes), tuple(self.displays), system)

    def events(self) -> Events:
        return Events(*self.columns(), self.book())


class Assembly:
    """Records by text identifier; `cohort` turns them into tables."""

    def __init__(self, conditions: str, observations: str, medications: str) -> None:
        self.hospitals: dict[str, int] = {}
        self.patients: dict[str, tuple[int, int, int]] = {}
        self.encounters: dict[str, tuple[int, int, int, int, int, int]] = {}
        self._places: dict[str, int] = {}
        self._people: dict[str, int] = {}
        self.conditions = _Coded(conditions)
        self.observations = _Coded(observations)
        self.medications = _Coded(medications)
        self.notes: list[tuple[int, int, int, str]] = []

    def patient(self, key: str, birth_min: int, death_min: int, sex: int, where: str) -> None:
        """Add a patient. Raises `DataError` when there is one of this identifier."""
        if key in self.patients:
            raise DataError(f"data: {where}: a second patient of this identifier")
        self._people[key] = len(self.patients)
        self.patients[key] = (birth_min, death_min, sex)

    def encounter(
        self,
        key: str,
        patient: str,
        hospital: str,
        times_min: tuple[int, int],
        kind: int,
        admission: int,
        where: str,
    ) -> None:
        """Add an encounter. Raises `DataError` for an unknown patient or a second identifier."""
        if key in self.encounters:
            raise DataError(f"data: {where}: a second encounter of this identifier")
        start, end = times_min
        if end < start:
            raise DataError(f"data: {where}: ends before it begins")
        person = self.person(patient, where)
        place = self.hospitals.setdefault(hospital, len(self.hospitals))
        self._places[key] = len(self.encounters)
        self.encounters[key] = (person, place, start, end, kind, admission)

    def person(self, patient: str, where: str) -> int:
        """Row of a patient."""
        if patient not in self._people:
            raise DataError(f"data: {where}: patient {patient!r} is not among the patients")
        return self._people[patient]

    def place(self, encounter: str, where: str) -> int:
        """Row of an encounter; `NOWHERE` for an empty identifier."""
        if not encounter:
            return NOWHERE
        if encounter not in self._places:
            raise DataError(f"data: {where}: encounter {encounter!r} is not among the encounters")
        return self._places[encounter]

    def cohort(self) -> Cohort:
        """The tables.

        Raises:
            DataError: when there is no patient or no encounter.
        """
        if not self.patients or not self.encounters:
            raise DataError("data: needs at least one patient and one encounter")
        stays = np.array(list(self.encounters.values()), dtype=np.int64).T
        people = np.array(list(self.patients.values()), dtype=np.int64).T
        ends = stays[3][stays[3] < NEVER]
        seen = self.observations.columns()
        unknown = np.full(len(self.observations.codes), np.nan)
        texts = [text for *_, text in self.notes]
        where = np.array([row[:3] for row in self.notes], dtype=np.int64).reshape(-1, 3).T
        return Cohort(
            hospitals=tuple(self.hospitals),
            patients=Patients(_names(list(self.patients)), *people),
            encounters=Encounters(_names(list(self.encounters)), *stays),
            conditions=self.conditions.events(),
            observations=Observations(
                *seen[:4],
                value=np.array(self.observations.values, dtype=np.float64),
                book=self.observations.book(),
                units=tuple(self.observations.units),
                low=unknown,
                high=unknown.copy(),
            ),
            medications=self.medications.events(),
            notes=Notes(*where, text=texts),
            until_min=int(max(ends.max(initial=0), stays[2].max())),
        )


def _names(keys: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    return np.array(keys, dtype=np.str_)
