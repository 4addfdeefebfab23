"""FHIR and Synthea's CSV export: complete, resolved, and clear about what is wrong."""

from __future__ import annotations

import base64
import functools
import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.base.rng import Streams
from simulation.records.assemble import minutes
from simulation.records.errors import DataError
from simulation.records.fhir_files import Resources, read_resources
from simulation.records.load import load
from simulation.records.longitudinal_params import FhirParams, SyntheaCsvParams
from simulation.records.params import IidParams
from simulation.records.sources import fhir, synthea_csv
from simulation.records.tables import ENCOUNTER_KINDS


@functools.cache
def resources(folder: Path) -> Resources:
    """Validation takes seconds, so each folder is read once."""
    return read_resources(str(folder))


# ---- the real exports ---------------------------------------------------------------------------


def test_every_bundle_loads_validates_and_resolves(real_data: Path) -> None:
    """Counts of the provenance file, all 7,492 references, 18 organisations."""
    found = resources(real_data / "synthea-fhir-r4")
    assert found.counts() == {
        "AllergyIntolerance": 13, "CarePlan": 37, "Claim": 260, "Condition": 114,
        "DiagnosticReport": 72, "Encounter": 202, "ExplanationOfBenefit": 202, "Goal": 25,
        "ImagingStudy": 2, "Immunization": 123, "MedicationRequest": 58, "Observation": 1074,
        "Organization": 125, "Patient": 16, "Practitioner": 125, "Procedure": 70,
    }  # fmt: skip
    assert found.references == 7_492
    cohort = fhir.tables_of(found)
    assert len(cohort.hospitals) == 18
    kinds = np.bincount(cohort.encounters.kind, minlength=4)
    assert dict(zip(ENCOUNTER_KINDS, kinds.tolist(), strict=True)) == {
        "inpatient": 4, "emergency": 22, "ambulatory": 176, "other": 0
    }  # fmt: skip
    counts = cohort.counts()
    assert (counts["patients"], counts["conditions"], counts["medications"]) == (16, 114, 58)
    assert counts["observations"] >= 1074, "blood pressure has two components"


def test_every_bulk_file_loads_validates_and_resolves(real_data: Path) -> None:
    """Counts of the provenance file; practitioners, places and organisations are referred to
    conditionally; every note is text, at its encounter."""
    found = resources(real_data / "synthea-fhir-bulk-notes")
    assert found.counts() == {
        "AllergyIntolerance": 11, "Condition": 555, "Device": 16, "DocumentReference": 1215,
        "Encounter": 1215, "Immunization": 161, "Location": 44, "MedicationRequest": 1745,
        "Organization": 43, "Patient": 13, "Practitioner": 43, "PractitionerRole": 43,
        "Procedure": 2056,
    }  # fmt: skip
    conditional = found.resolve(
        found.index["Encounter/00c7f717-4030-5582-2ed8-888ad2bc878e"].body["serviceProvider"][
            "reference"
        ]
    )
    assert conditional is not None
    assert conditional.type == "Organization"
    cohort = fhir.tables_of(found)
    assert cohort.counts()["notes"] == 1215
    assert (cohort.notes.encounter >= 0).all()
    assert all("# Chief Complaint" in text for text in cohort.notes.text)
    assert sum(map(len, cohort.notes.text)) / 1215 == pytest.approx(1331, abs=1)


def test_the_csv_export_maps_to_the_same_tables(real_data: Path) -> None:
    """27 patients, 604 encounters, 438 conditions, 990 observations."""
    cohort = synthea_csv.cohort(SyntheaCsvParams(path=str(real_data / "synthea-csv")))
    counts = cohort.counts()
    wanted = {"patients": 27, "encounters": 604, "conditions": 438, "observations": 990}
    assert {name: counts[name] for name in wanted} == wanted
    kinds = np.bincount(cohort.encounters.kind, minlength=4)
    assert kinds.tolist() == [11, 17, 174 + 52 + 2 + 348, 0]
    assert np.isfinite(cohort.observations.value).sum() > 500


@pytest.mark.parametrize(
    ("params", "folder"),
    [(FhirParams, "synthea-fhir-r4"), (FhirParams, "synthea-fhir-bulk-notes"),
     (SyntheaCsvParams, "synthea-csv")],
)  # fmt: skip
def test_records_become_shards(real_data: Path, params: Callable[..., Any], folder: str) -> None:
    """The whole way: tables, rows, pipeline, split; finite inputs at each of two hospitals."""
    found = load(params(path=str(real_data / folder)), IidParams(), 2, Streams(1))
    assert len(found) == 2
    assert found.pipeline is not None
    assert all(np.isfinite(shard.train_x).all() for shard in found)
    assert any(name.startswith("condition_") for name in found.features)


# ---- damage -------------------------------------------------------------------------------------

PATIENT = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1950-03"}
HOSPITAL = {
    "resourceType": "Organization", "id": "o", "name": "St Ann",
    "identifier": [{"system": "urn:s", "value": "7"}],
}  # fmt: skip
STAY = {
    "resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "IMP"},
    "subject": {"reference": "Patient/p"},
    "serviceProvider": {"reference": "Organization?identifier=urn:s|7"},
    "period": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-03T12:00:00+02:00"},
}  # fmt: skip
NOTE = {
    "resourceType": "DocumentReference", "id": "d", "status": "current",
    "subject": {"reference": "Patient/p"}, "date": "2020-01-03T10:00:00Z",
    "content": [{"attachment": {"data": base64.b64encode(b"well").decode()}}],
}  # fmt: skip


def _write(folder: Path, *lines: object) -> Path:
    file = folder / "export.ndjson"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts) + "\n")
    return file


def test_a_small_export_by_hand(tmp_path: Path) -> None:
    """Zones, months without a day, conditional references and notes."""
    _write(tmp_path, STAY, PATIENT, HOSPITAL, NOTE)
    cohort = fhir.cohort(FhirParams(path=str(tmp_path)))
    assert cohort.hospitals == ("St Ann",)
    stay = cohort.encounters
    assert (stay.end_min - stay.start_min).tolist() == [2 * 1440 + 10 * 60]
    assert cohort.patients.birth_min.tolist() == [minutes("1950-03-01")]
    assert list(cohort.notes.text) == ["well"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"status": 5}, r"Encounter/e, field status: .*valid string"),
        ({"period": {"start": "2020-13-01"}}, r"Encounter/e, field period\.start: "),
        ({"nonsense": 1}, r"Encounter/e, field nonsense: Extra inputs"),
        ({"class": [{"coding": []}]}, r"Encounter/e, field class.*\(FHIR R4\)"),
        ({"subject": {"reference": "Patient/q"}}, r"Encounter/e, field subject\.reference: .*no"),
        ({"serviceProvider": {"reference": "Organization?identifier=urn:s|8"}},
         r"field serviceProvider\.reference"),
        ({"subject": {"reference": "Organization/o"}}, r"field subject: must refer to a patient"),
        ({"period": {"end": "2020-01-01"}}, r"Encounter/e, field period\.start: is needed"),
        ({"period": {"start": "2020-02-01", "end": "2020-01-01"}}, r"ends before it begins"),
        ({"resourceType": "Stay"}, r"Stay/e, field resourceType: no resource of FHIR R4"),
        ({"resourceType": 7}, r"field resourceType: is missing or no text"),
    ],
)  # fmt: skip
def test_a_wrong_resource_is_one_clear_error(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    """File, line, resource, field and rule, whichever rule is broken; class as a list is R5's."""
    _write(tmp_path, PATIENT, HOSPITAL, {**STAY, **changed})
    with pytest.raises(DataError, match=rf"^data: export\.ndjson line 3.*{message}"):
        fhir.cohort(FhirParams(path=str(tmp_path)))


def test_broken_files_are_one_clear_error(tmp_path: Path) -> None:
    """Malformed JSON, a second id, truncated gzip, another encoding, wrong base64, no file."""
    params = FhirParams(path=str(tmp_path))
    with pytest.raises(DataError, match="holds no FHIR file"):
        fhir.cohort(params)
    _write(tmp_path, PATIENT, '{"resourceType": "Patient",')
    with pytest.raises(DataError, match=r"export\.ndjson line 2, column \d+: no JSON"):
        fhir.cohort(params)
    _write(tmp_path, PATIENT, {**PATIENT, "gender": "male"})
    with pytest.raises(DataError, match=r"line 2, Patient/p, field id: is also at .* line 1"):
        fhir.cohort(params)
    note = {**NOTE, "content": [{"attachment": {"data": base64.b64encode(b"\xff").decode()}}]}
    _write(tmp_path, PATIENT, HOSPITAL, STAY, note)
    with pytest.raises(DataError, match=r"DocumentReference/d, field content\.attachment\.data"):
        fhir.cohort(params)
    file = _write(tmp_path, PATIENT)
    packed = gzip.compress(file.read_bytes())
    file.unlink()
    (tmp_path / "a.ndjson.gz").write_bytes(packed[:-12])
    with pytest.raises(DataError, match=r"a\.ndjson\.gz: cannot be read"):
        fhir.cohort(params)
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress("ü".encode("latin-1")))
    with pytest.raises(DataError, match=r"a\.ndjson\.gz line 1: is not UTF-8 text \(byte 0\)"):
        fhir.cohort(params)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*STAY, "reference", "code"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 3), field=st.sampled_from(sorted({*STAY, *NOTE, *PATIENT})), value=JSON)
def test_no_resource_breaks_the_reader(
    tmp_path: Path, which: int, field: str, value: object
) -> None:
    """Whatever one field holds, the export loads or is refused with a `DataError`."""
    lines = [dict(PATIENT), dict(HOSPITAL), dict(STAY), dict(NOTE)]
    lines[which][field] = value
    _write(tmp_path, *lines)
    with suppress(DataError):
        fhir.cohort(FhirParams(path=str(tmp_path)))


CSV = {
    "patients": "Id,BIRTHDATE,DEATHDATE,GENDER\np,1950-01-01,,F\n",
    "organizations": "Id,NAME\no,St Ann\n",
    "encounters": "Id,START,STOP,PATIENT,ORGANIZATION,ENCOUNTERCLASS\n"
    "e,2020-01-01T00:00:00Z,2020-01-02T00:00:00Z,p,o,inpatient\n",
    "conditions": "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n2020-01-01,,p,e,44,Cough\n",
    "medications": "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n2020-01-01,,p,e,9,Pill\n",
    "observations": "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n"
    "2020-01-01T10:00:00Z,p,e,8302-2,Height,170.5,cm,numeric\n",
}


def _export(folder: Path, **changed: str) -> SyntheaCsvParams:
    for name, text in {**CSV, **changed}.items():
        (folder / f"{name}.csv").write_text(text)
    return SyntheaCsvParams(path=str(folder))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("patients", ",F", ",X", r"patients\.csv line 2, column GENDER: must be one of F, M"),
        ("patients", "1950-01-01", "once", r"patients\.csv line 2, column BIRTHDATE: must be a da"),
        ("encounters", ",p,", ",q,", r"encounters\.csv line 2, column PATIENT: patient 'q'"),
        ("encounters", ",o,", ",x,", r"column ORGANIZATION: is not among the organizations"),
        ("encounters", "inpatient", "day", r"column ENCOUNTERCLASS: must be one of inpatient"),
        ("encounters", "2020-01-02", "2019-01-02", r"encounters\.csv line 2.*ends before"),
        ("conditions", ",e,", ",f,", r"conditions\.csv line 2, column ENCOUNTER: encounter 'f'"),
        ("medications", "DESCRIPTION", "DESC", r"medications\.csv line 1: no column 'DESCRIPTION'"),
        ("observations", "170.5", "tall", r"observations\.csv line 2, column VALUE: must be a num"),
        ("observations", ",", ";", r"observations\.csv line 1: no column 'DATE'"),
    ],
)
def test_a_damaged_export_is_one_clear_error(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    """File, line, column and rule."""
    assert synthea_csv.cohort(_export(tmp_path)).counts()["observations"] == 1
    with pytest.raises(DataError, match=message):
        synthea_csv.cohort(_export(tmp_path, **{file: CSV[file].replace(old, new)}))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    file=st.sampled_from(sorted(CSV)),
    at=st.integers(0, 200),
    put=st.text(alphabet='",\n\rü-1eTZ\x00', max_size=4),
)
def test_no_export_breaks_the_reader(tmp_path: Path, file: str, at: int, put: str) -> None:
    """Whatever is put anywhere into a file, it loads or is refused with a `DataError`."""
    text = CSV[file]
    with suppress(DataError):
        synthea_csv.cohort(_export(tmp_path, **{file: text[:at] + put + text[at:]}))
