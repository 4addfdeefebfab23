"""Writes the canonical tables as FHIR R4: one NDJSON file for each type of resource.

Identifiers are kept where FHIR allows them as ids, and stand in ``identifier`` otherwise. Every
resource is validated before anything is left on disk. What is written is read again by `fhir_files`
and `sources.fhir`; `fhir_loss` says which fields survive the way there and back.

Source: https://hl7.org/fhir/R4/ and https://hl7.org/fhir/uv/bulkdata/.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from simulation.records.errors import DataError
from simulation.records.fhir_codes import (
    ACT_CODE,
    ACT_PRIORITY,
    CLASS_OF_KIND,
    PRIORITY_OF_ADMISSION,
    SYSTEMS,
    UCUM,
)
from simulation.records.fhir_files import validated
from simulation.records.tables import (
    ADMISSIONS,
    ENCOUNTER_KINDS,
    NEVER,
    NOWHERE,
    SEXES,
    UNKNOWN_MIN,
    Codebook,
    Cohort,
    Events,
)

Body = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def export(cohort: Cohort, folder: Path) -> dict[str, int]:
    """Write all records into a new folder; the number of resources of each type.

    Raises:
        DataError: when the folder is there already or cannot be written.
    """
    if folder.exists():
        raise DataError(f"out: {folder} exists already; name a folder that is to be made")
    counts: dict[str, int] = {}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as partial:
            for kind, bodies in _resources(cohort):
                lines = [json.dumps(validated(body, kind), ensure_ascii=False) for body in bodies]
                if lines:
                    text = "\n".join(lines) + "\n"
                    (Path(partial) / f"{kind}.ndjson").write_text(text, encoding="utf-8")
                    counts[kind] = len(lines)
            done = Path(partial) / "done"
            done.mkdir()
            for file in sorted(Path(partial).glob("*.ndjson")):
                file.rename(done / file.name)
            done.rename(folder)
    except OSError as error:
        raise DataError(f"out: cannot write {folder} ({error.strerror})") from error
    return counts


def _resources(cohort: Cohort) -> Iterator[tuple[str, Iterator[Body]]]:
    names = _Names(cohort)
    yield "Organization", _organizations(cohort)
    yield "Patient", _patients(cohort, names)
    yield "Encounter", _encounters(cohort, names)
    yield "Condition", _conditions(cohort, names)
    yield "Observation", _observations(cohort, names)
    yield "MedicationRequest", _medications(cohort, names)
    yield "DocumentReference", _notes(cohort, names)


class _Names:
    """Ids of patients and encounters."""

    def __init__(self, cohort: Cohort) -> None:
        self.patients = _ids(cohort.patients.id.tolist(), "p")
        self.encounters = _ids(cohort.encounters.id.tolist(), "e")

    def placed(self, patient: int, encounter: int) -> Body:
        """References to the patient and, where there is one, the encounter."""
        found: Body = {"subject": {"reference": f"Patient/{self.patients[patient]}"}}
        if encounter != NOWHERE:
            found["encounter"] = {"reference": f"Encounter/{self.encounters[encounter]}"}
        return found


def _ids(given: list[str], letter: str) -> list[str]:
    """The source's own identifiers if all may be ids and differ, else numbers."""
    last = [name.rsplit("/", maxsplit=1)[-1] for name in given]
    fit = len(set(last)) == len(last) and all(_ID.fullmatch(name) for name in last)
    return last if fit else [f"{letter}{row}" for row in range(len(given))]


def _organizations(cohort: Cohort) -> Iterator[Body]:
    for row, name in enumerate(cohort.hospitals):
        yield {"resourceType": "Organization", "id": f"h{row}", "active": True, "name": name}


def _patients(cohort: Cohort, names: _Names) -> Iterator[Body]:
    given = cohort.patients
    for row, name in enumerate(names.patients):
        body: Body = {
            "resourceType": "Patient",
            "id": name,
            "identifier": [{"value": str(given.id[row])}],
            "gender": SEXES[given.sex[row]],
        }
        if given.birth_min[row] != UNKNOWN_MIN:
            body["birthDate"] = _time(int(given.birth_min[row]))[:10]
        if given.death_min[row] < NEVER:
            body["deceasedDateTime"] = _time(int(given.death_min[row]))
        yield body


def _encounters(cohort: Cohort, names: _Names) -> Iterator[Body]:
    given = cohort.encounters
    for row, name in enumerate(names.encounters):
        start, end = int(given.start_min[row]), int(given.end_min[row])
        body: Body = {
            "resourceType": "Encounter",
            "id": name,
            "identifier": [{"value": str(given.id[row])}],
            "status": "finished" if end < NEVER else "in-progress",
            "class": {"system": ACT_CODE, "code": CLASS_OF_KIND[ENCOUNTER_KINDS[given.kind[row]]]},
            "subject": {"reference": f"Patient/{names.patients[given.patient[row]]}"},
            "period": _period(start, end),
            "serviceProvider": {"reference": f"Organization/h{given.hospital[row]}"},
        }
        priority = PRIORITY_OF_ADMISSION.get(ADMISSIONS[given.admission[row]])
        if priority is not None:
            body["priority"] = {"coding": [{"system": ACT_PRIORITY, "code": priority}]}
        yield body


def _conditions(cohort: Cohort, names: _Names) -> Iterator[Body]:
    for row, body in _coded("Condition", "code", cohort.conditions, names):
        end = int(cohort.conditions.end_min[row])
        status = "active" if end == NEVER else "resolved"
        body["clinicalStatus"] = {"coding": [{"system": _STATUS, "code": status}]}
        body["recordedDate"] = _time(int(cohort.conditions.start_min[row]))
        if end < NEVER:
            body["abatementDateTime"] = _time(end)
        yield body


def _medications(cohort: Cohort, names: _Names) -> Iterator[Body]:
    given = cohort.medications
    for row, body in _coded("MedicationRequest", "medicationCodeableConcept", given, names):
        start, end = int(given.start_min[row]), int(given.end_min[row])
        body["status"] = "active" if end == NEVER else "completed"
        body["intent"] = "order"
        body["authoredOn"] = _time(start)
        if end < NEVER:
            # The request has no end of its own; the bounds of its dosage are when it is taken.
            body["dosageInstruction"] = [
                {"timing": {"repeat": {"boundsPeriod": _period(start, end)}}}
            ]
        yield body


def _coded(kind: str, field: str, table: Events, names: _Names) -> Iterator[tuple[int, Body]]:
    for row in range(len(table.code)):
        yield (
            row,
            {
                "resourceType": kind,
                "id": f"{kind[0].lower()}{row}",
                field: _concept(table.book, int(table.code[row])),
                **names.placed(int(table.patient[row]), int(table.encounter[row])),
            },
        )


def _observations(cohort: Cohort, names: _Names) -> Iterator[Body]:
    given = cohort.observations
    for row in range(len(given.code)):
        code, value = int(given.code[row]), float(given.value[row])
        body: Body = {
            "resourceType": "Observation",
            "id": f"o{row}",
            "status": "final",
            "code": _concept(given.book, code),
            **names.placed(int(given.patient[row]), int(given.encounter[row])),
            "effectiveDateTime": _time(int(given.time_min[row])),
        }
        unit = given.units[code]
        if np.isfinite(value):
            named = {"unit": unit, "system": UCUM, "code": unit} if unit else {}
            body["valueQuantity"] = {"value": value, **named}
        else:
            body["dataAbsentReason"] = {"coding": [{"system": _ABSENT, "code": "unknown"}]}
        yield body


def _notes(cohort: Cohort, names: _Names) -> Iterator[Body]:
    given = cohort.notes
    for row, text in enumerate(given.text):
        data = base64.b64encode(text.encode("utf-8")).decode("ascii")
        placed = names.placed(int(given.patient[row]), int(given.encounter[row]))
        stay = placed.pop("encounter", None)
        body: Body = {
            "resourceType": "DocumentReference",
            "id": f"n{row}",
            "status": "current",
            **placed,
            "date": _time(int(given.time_min[row])),
            "content": [{"attachment": {"contentType": "text/plain", "data": data}}],
        }
        if stay is not None:
            body["context"] = {"encounter": [stay]}
        yield body


def _concept(book: Codebook, code: int) -> Body:
    coding = {"code": book.codes[code], "display": book.displays[code]}
    if book.system in SYSTEMS or book.system.startswith("urn:"):
        coding["system"] = SYSTEMS.get(book.system, book.system)
    return {"coding": [coding], "text": book.displays[code]}


def _period(start_min: int, end_min: int) -> Body:
    period = {"start": _time(start_min)}
    return period if end_min == NEVER else {**period, "end": _time(end_min)}


def _time(time_min: int) -> str:
    return f"{np.datetime64(time_min, 'm')}:00Z"
