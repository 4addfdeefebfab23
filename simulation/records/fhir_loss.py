"""What of a hospital's tables survives FHIR R4 and back: measured field by field, not claimed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.records.table import Index
from simulation.records.tables import DAY_MIN, Cohort, Events, Observations

_WHY = {
    ("Patient", "birth_min"): "a birth date has no time of day",
    ("Patient", "id"): "not an id of FHIR: it stands in identifier, which is not read",
    ("Encounter", "id"): "not an id of FHIR: it stands in identifier, which is not read",
    ("Observation", "unit"): "a result that is no number has no unit",
    ("Observation", "low, high"): "the ranges are the program's, not the observation's",
    ("all", "until_min"): "the end of the records is taken from the last encounter",
    ("all", "risk"): "a generating probability is no clinical record",
}
"""Why a field that does not survive does not."""


@dataclass(frozen=True, slots=True)
class Survival:
    """One field of one resource."""

    resource: str
    field: str
    rows: int
    """Rows that had it."""
    kept: int
    """Rows that have it still, with the same value."""
    why: str
    """What became of the others; empty when there are none."""


def survivals(before: Cohort, after: Cohort) -> list[Survival]:
    """Field by field, the rows whose value is the same in the order of the tables.

    Raises:
        AssertionError: when a table has another number of rows, which no export may do.
    """
    assert {**before.counts(), "hospitals": 0} == {**after.counts(), "hospitals": 0}
    found: list[Survival] = []
    for resource, field, one, other in _fields(before, after):
        same = (one == other) | (one != one) & (other != other)  # noqa: PLR0124 - NaN is not itself
        kept = int(np.count_nonzero(same))
        why = "" if kept == len(one) else _WHY.get((resource, field), "lost")
        found.append(Survival(resource, field, len(one), kept, why))
    return found


Pair = tuple[str, str, NDArray[np.generic], NDArray[np.generic]]


def _fields(before: Cohort, after: Cohort) -> Iterator[Pair]:
    yield (
        "Organization",
        "name",
        np.array(before.hospitals)[before.encounters.hospital],
        np.array(after.hospitals)[after.encounters.hospital],
    )
    one, other = before.patients, after.patients
    yield "Patient", "id", _last(one.id), _last(other.id)
    yield "Patient", "sex", one.sex, other.sex
    yield "Patient", "birth_day", one.birth_min // DAY_MIN, other.birth_min // DAY_MIN
    yield "Patient", "birth_min", one.birth_min, other.birth_min
    yield "Patient", "death_min", one.death_min, other.death_min
    stay, again = before.encounters, after.encounters
    yield "Encounter", "id", _last(stay.id), _last(again.id)
    for name in ("patient", "start_min", "end_min", "kind", "admission"):
        yield "Encounter", name, getattr(stay, name), getattr(again, name)
    yield from _events("Condition", before.conditions, after.conditions)
    yield from _events("MedicationRequest", before.medications, after.medications)
    yield from _observed(before.observations, after.observations)
    for name in ("patient", "encounter", "time_min"):
        yield "DocumentReference", name, getattr(before.notes, name), getattr(after.notes, name)
    yield "DocumentReference", "text", np.array(before.notes.text), np.array(after.notes.text)
    yield "all", "until_min", np.array([before.until_min]), np.array([after.until_min])
    risk = np.array([]) if before.risk is None else before.risk[np.isfinite(before.risk)]
    yield "all", "risk", risk, np.full(len(risk), np.nan)


def _events(resource: str, one: Events, other: Events) -> Iterator[Pair]:
    for name in ("patient", "encounter", "start_min", "end_min"):
        yield resource, name, getattr(one, name), getattr(other, name)
    yield resource, "code", _words(one.book.codes, one.code), _words(other.book.codes, other.code)
    displays = one.book.displays, other.book.displays
    yield resource, "display", _words(displays[0], one.code), _words(displays[1], other.code)
    systems = np.array([one.book.system]), np.array([other.book.system])
    yield resource, "system", systems[0].repeat(len(one.code)), systems[1].repeat(len(one.code))


def _observed(one: Observations, other: Observations) -> Iterator[Pair]:
    for name in ("patient", "encounter", "time_min", "value"):
        yield "Observation", name, getattr(one, name), getattr(other, name)
    codes = one.book.codes, other.book.codes
    yield "Observation", "code", _words(codes[0], one.code), _words(codes[1], other.code)
    yield "Observation", "unit", _words(one.units, one.code), _words(other.units, other.code)
    low, again = one.low[one.code], other.low[other.code]
    yield "Observation", "low, high", low, again


def _words(words: tuple[str, ...], code: Index) -> NDArray[np.str_]:
    return np.array(words, dtype=np.str_)[code] if words else np.array([], dtype=np.str_)


def _last(names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Identifiers without the type that stands before them when they come from FHIR."""
    return np.array([name.rsplit("/", maxsplit=1)[-1] for name in names.tolist()], dtype=np.str_)
