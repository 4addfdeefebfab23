"""FHIR R4 as a source: resources become rows of the canonical tables.

The hospital of an encounter is its ``serviceProvider``. Blood pressure and other observations of
several components become one row each. Coded by the first coding of each concept.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from simulation.records.assemble import Assembly, minutes
from simulation.records.errors import DataError
from simulation.records.features import features_of
from simulation.records.fhir_codes import ADMISSION_OF_PRIORITY, KIND_OF_CLASS, SYSTEM_OF
from simulation.records.fhir_files import Resource, Resources, read_resources
from simulation.records.longitudinal_params import FhirParams
from simulation.records.schema import Schema
from simulation.records.source import Source
from simulation.records.table import Table
from simulation.records.tables import ADMISSIONS, ENCOUNTER_KINDS, NEVER, SEXES, UNKNOWN_MIN, Cohort

_NO_HOSPITAL = "unstated"


def cohort(params: FhirParams) -> Cohort:
    """The tables of all resources below the path.

    Raises:
        DataError: as for `read_resources`, and when a record lacks what places it (patient, time).
    """
    return tables_of(read_resources(params.path))


def tables_of(resources: Resources) -> Cohort:
    """The tables of validated resources."""
    into = Assembly(conditions="SNOMED CT", observations="LOINC", medications="RxNorm")
    for given in resources.of("Patient"):
        body = given.body
        birth = _time(given, "birthDate", body.get("birthDate"), UNKNOWN_MIN)
        death = _time(given, "deceasedDateTime", body.get("deceasedDateTime"), NEVER)
        sex = SEXES.index(body.get("gender", "unknown"))
        into.patient(given.key, birth, death, sex, given.where)
    for given in resources.of("Encounter"):
        _encounter(into, resources, given)
    for given in resources.of("Condition"):
        _condition(into, resources, given)
    for given in resources.of("Observation"):
        _observation(into, resources, given)
    for given in resources.of("MedicationRequest"):
        _medication(into, resources, given)
    for given in resources.of("DocumentReference"):
        _note(into, resources, given)
    return into.cohort()


def _encounter(into: Assembly, resources: Resources, given: Resource) -> None:
    period = given.body.get("period", {})
    start = _time(given, "period.start", period.get("start"))
    end = _time(given, "period.end", period.get("end"), NEVER)
    code = given.body.get("class", {}).get("code", "")
    provider = _target(resources, given, "serviceProvider")
    priority = (given.body.get("priority", {}).get("coding") or [{}])[0].get("code", "")
    into.encounter(
        given.key,
        _subject(resources, given, "subject"),
        provider.body.get("name", provider.key) if provider else _NO_HOSPITAL,
        (start, end),
        ENCOUNTER_KINDS.index(KIND_OF_CLASS.get(code, "other")),
        ADMISSIONS.index(ADMISSION_OF_PRIORITY.get(priority, "unknown")),
        given.where,
    )


def _condition(into: Assembly, resources: Resources, given: Resource) -> None:
    body, table = given.body, into.conditions
    start = body.get("recordedDate") or body.get("onsetDateTime")
    code, display, system = _coding(given, "code")
    table.rows.append((
        *_places(into, resources, given),
        table.number(code, display, system=system),
        _time(given, "recordedDate", start),
        _time(given, "abatementDateTime", body.get("abatementDateTime"), NEVER),
    ))  # fmt: skip


def _observation(into: Assembly, resources: Resources, given: Resource) -> None:
    body, table = given.body, into.observations
    period = body.get("effectivePeriod", {})
    when = body.get("effectiveDateTime") or body.get("effectiveInstant") or period.get("start")
    time = _time(given, "effectiveDateTime", when or body.get("issued"))
    places = _places(into, resources, given)
    parts = [body] if "valueQuantity" in body or not body.get("component") else body["component"]
    for part in parts:
        quantity = part.get("valueQuantity", {})
        code, display, system = _coding(given, "code", part)
        unit = quantity.get("code", quantity.get("unit", ""))
        number = table.number(code, display, unit, system)
        table.rows.append((*places, number, time, time))
        table.values.append(float(quantity.get("value", "nan")))


def _medication(into: Assembly, resources: Resources, given: Resource) -> None:
    body, table = given.body, into.medications
    holder: Resource | None = given
    field = "medicationCodeableConcept"
    if field not in body:
        holder, field = _target(resources, given, "medicationReference"), "code"
    if holder is None:
        raise DataError(f"data: {given.where}, field medication: is needed to name the drug")
    code, display, system = _coding(holder, field)
    start = _time(given, "authoredOn", body.get("authoredOn"))
    # A request without bounds does not say when the drug was stopped: it counts from then on.
    dosage = (body.get("dosageInstruction") or [{}])[0]
    bounds = dosage.get("timing", {}).get("repeat", {}).get("boundsPeriod", {})
    end = _time(given, "dosageInstruction.timing.repeat.boundsPeriod.end", bounds.get("end"), NEVER)
    table.rows.append((
        *_places(into, resources, given), table.number(code, display, system=system), start, end
    ))  # fmt: skip


def _note(into: Assembly, resources: Resources, given: Resource) -> None:
    body = given.body
    stays = body.get("context", {}).get("encounter", [])
    stay = resources.resolve(stays[0].get("reference", "")) if stays else None
    for content in body.get("content", []):
        data = content.get("attachment", {}).get("data")
        if data is None:
            continue
        try:
            text = base64.b64decode(data, validate=True).decode("utf-8")
        except (binascii.Error, ValueError) as error:
            raise DataError(
                f"data: {given.where}, field content.attachment.data: must be base64 of UTF-8 text"
            ) from error
        person = into.person(_subject(resources, given, "subject"), given.where)
        place = into.place(stay.key if stay else "", given.where)
        into.notes.append((person, place, _time(given, "date", body.get("date")), text))


def _places(into: Assembly, resources: Resources, given: Resource) -> tuple[int, int]:
    """Rows of the patient and the encounter."""
    person = into.person(_subject(resources, given, "subject"), given.where)
    stay = _target(resources, given, "encounter")
    return person, into.place(stay.key if stay else "", given.where)


def _subject(resources: Resources, given: Resource, field: str) -> str:
    found = _target(resources, given, field)
    if found is None or found.type != "Patient":
        raise DataError(f"data: {given.where}, field {field}: must refer to a patient")
    return found.key


def _target(resources: Resources, given: Resource, field: str) -> Resource | None:
    reference = given.body.get(field, {}).get("reference", "")
    return resources.resolve(reference) if reference else None


def _coding(
    given: Resource, field: str, part: dict[str, Any] | None = None
) -> tuple[str, str, str]:
    """Code, text and system of the first coding; the text alone where there is no coding."""
    concept = (part or given.body).get(field, {})
    first = (concept.get("coding") or [{}])[0]
    code = first.get("code") or concept.get("text")
    if not code:
        raise DataError(f"data: {given.where}, field {field}: needs a code or a text")
    uri = str(first.get("system", ""))
    return code, concept.get("text") or first.get("display") or code, SYSTEM_OF.get(uri, uri)


def _time(given: Resource, field: str, text: object, absent: int | None = None) -> int:
    if text is None and absent is not None:
        return absent
    try:
        return minutes(str(text))
    except (ValueError, OverflowError) as error:
        rule = "is needed" if text is None else "must be a date or time"
        raise DataError(f"data: {given.where}, field {field}: {rule}") from error


def read(params: FhirParams) -> Table:
    """One row for each index encounter with a known outcome.

    Raises:
        DataError: as for `cohort`, and when both labels do not occur.
    """
    return features_of(cohort(params), params)


SOURCE = Source(
    kind="fhir",
    title="FHIR R4: bundles (JSON) and bulk exports (NDJSON), of one's own or from Synthea",
    hospitals="organisations that provide the encounters (serviceProvider)",
    licence="the user's own data",
    provenance="files of the user's",
    schema=Schema(
        label="an index encounter is followed by an outcome within horizon_days of its end",
        hospital="Encounter.serviceProvider",
        missing="a field that is absent, or has dataAbsentReason",
    ),
    params=FhirParams,
    read=read,
    cohort=cohort,
)
