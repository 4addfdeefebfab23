"""The one schema of clinical records that every longitudinal source maps into.

Six tables, each of NumPy columns of one length: patients, encounters, conditions, observations,
medications, notes. A row refers to a patient, an encounter or a hospital by its position, and to a
code by its position in the table's codebook. Times are minutes since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.records.errors import DataError
from simulation.records.table import Index

NEVER = 2**40
"""The time of what has not happened (minutes)."""
UNKNOWN_MIN = -NEVER
"""The time of birth of whom nobody knows the age (minutes)."""
NOWHERE = -1
"""Stands for the encounter of a record that belongs to none."""
DAY_MIN = 24 * 60
"""Minutes of a day."""
YEAR_MIN = 365.25 * DAY_MIN
"""Minutes of a mean year."""

SEXES = ("female", "male", "other", "unknown")
"""Administrative sex, the four codes of FHIR R4."""
ENCOUNTER_KINDS = ("inpatient", "emergency", "ambulatory", "other")
"""Kinds of encounter, from FHIR's v3-ActCode and Synthea's ENCOUNTERCLASS."""
ADMISSIONS = ("unknown", "elective", "emergency")
"""How a stay began."""


def day_of(time_min: int) -> str:
    """The day of a time, ISO 8601."""
    return str(np.datetime64(0, "D") + np.timedelta64(time_min // DAY_MIN, "D"))


@dataclass(frozen=True, slots=True)
class Codebook:
    """The codes that a table uses."""

    codes: tuple[str, ...]
    """Codes, each once."""
    displays: tuple[str, ...]
    """What each means, in words."""
    system: str
    """The code system: ``ICD-10-CM``, ``SNOMED CT``, ``LOINC``, ``RxNorm``."""

    def categories(self) -> tuple[tuple[str, ...], Index]:
        """Names of the groups that features are made of, and each code's group.

        ICD-10-CM codes are grouped by their category, the first three characters; others stand for
        themselves.
        """
        icd = self.system == "ICD-10-CM"
        names = [code[:3] if icd else code for code in self.codes]
        groups = tuple(sorted(set(names)))
        number = {name: i for i, name in enumerate(groups)}
        return groups, np.array([number[name] for name in names], dtype=np.int64)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Patients:
    """One row for each person."""

    id: NDArray[np.str_]
    """Identifier in the source."""
    birth_min: Index
    """Time of birth, or `UNKNOWN_MIN`."""
    death_min: Index
    """Time of death, or `NEVER`."""
    sex: Index
    """Position in `SEXES`."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Encounters:
    """One row for each stay or visit."""

    id: NDArray[np.str_]
    """Identifier in the source."""
    patient: Index
    """Row of the patient."""
    hospital: Index
    """Position in `Cohort.hospitals`."""
    start_min: Index
    """When it began."""
    end_min: Index
    """When it ended, or `NEVER` while it lasts."""
    kind: Index
    """Position in `ENCOUNTER_KINDS`."""
    admission: Index
    """Position in `ADMISSIONS`."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Events:
    """Conditions or medications: something coded that begins and may end."""

    patient: Index
    """Row of the patient."""
    encounter: Index
    """Row of the encounter, or `NOWHERE`. Of one encounter, the principal one comes first."""
    code: Index
    """Position in the codebook."""
    start_min: Index
    """When it was recorded."""
    end_min: Index
    """When it ended, or `NEVER`."""
    book: Codebook
    """The codes."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Observations:
    """Laboratory values and vital signs."""

    patient: Index
    """Row of the patient."""
    encounter: Index
    """Row of the encounter, or `NOWHERE`."""
    code: Index
    """Position in the codebook."""
    time_min: Index
    """When it was measured."""
    value: NDArray[np.float64]
    """The number, in the unit of the code; NaN where the result is no number."""
    book: Codebook
    """The codes."""
    units: tuple[str, ...]
    """UCUM unit of each code; empty where it has none."""
    low: NDArray[np.float64]
    """Published lower end of each code's range; NaN where none is known."""
    high: NDArray[np.float64]
    """Published upper end of each code's range; NaN where none is known."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Notes:
    """Texts. ``text`` may be a sequence that writes each text when it is asked for."""

    patient: Index
    """Row of the patient."""
    encounter: Index
    """Row of the encounter, or `NOWHERE`."""
    time_min: Index
    """When it was written."""
    text: Sequence[str]
    """The texts."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Cohort:
    """All records of all hospitals of a source.

    Raises:
        DataError: when columns differ in length or a row refers to nothing; the message names
            table, row and rule.
    """

    hospitals: tuple[str, ...]
    """Names of the hospitals."""
    patients: Patients
    encounters: Encounters
    conditions: Events
    observations: Observations
    medications: Events
    notes: Notes
    until_min: int
    """End of the records: what would have happened later is unknown."""
    risk: NDArray[np.float64] | None = None
    """The generating probability of a readmission after each encounter, where it is known."""

    def __post_init__(self) -> None:
        given = self.encounters
        people, stays = len(self.patients.id), len(given.id)
        _same_length("patients", people, self.patients.birth_min, self.patients.sex)
        _same_length(
            "encounters", stays, given.patient, given.hospital, given.kind, given.admission
        )
        _refers("encounters", "patient", given.patient, people)
        _refers("encounters", "hospital", given.hospital, len(self.hospitals))
        _refers("encounters", "kind", given.kind, len(ENCOUNTER_KINDS))
        late = given.end_min < given.start_min
        if late.any():
            row = int(np.argmax(late))
            raise DataError(f"data: encounter {given.id[row]}: ends before it begins")
        for name in ("conditions", "observations", "medications"):
            table: Events | Observations = getattr(self, name)
            _same_length(name, len(table.patient), table.encounter, table.code)
            _refers(name, "patient", table.patient, people)
            _refers(name, "encounter", table.encounter, stays, NOWHERE)
            _refers(name, "code", table.code, len(table.book.codes))
        _same_length("notes", len(self.notes.text), self.notes.patient, self.notes.encounter)
        _refers("notes", "patient", self.notes.patient, people)
        _refers("notes", "encounter", self.notes.encounter, stays, NOWHERE)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={count}" for name, count in self.counts().items())
        return f"Cohort({counts})"

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        return {
            "hospitals": len(self.hospitals),
            "patients": len(self.patients.id),
            "encounters": len(self.encounters.id),
            "conditions": len(self.conditions.code),
            "observations": len(self.observations.code),
            "medications": len(self.medications.code),
            "notes": len(self.notes.text),
        }


def _same_length(table: str, rows: int, *columns: Index) -> None:
    for column in columns:
        if len(column) != rows:
            raise DataError(f"data: {table}: a column has {len(column)} rows, expected {rows}")


def _refers(table: str, column: str, values: Index, size: int, least: int = 0) -> None:
    wrong = (values < least) | (values >= size)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"data: {table} row {row}, column {column}: refers to no row ({size} exist)"
        )
