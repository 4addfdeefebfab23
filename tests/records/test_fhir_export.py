"""FHIR out and back: valid resources, nothing half-written, and a measured table of losses."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.cli.data import export as export_command
from simulation.records.errors import DataError
from simulation.records.fhir_export import export
from simulation.records.fhir_files import read_resources
from simulation.records.fhir_loss import survivals
from simulation.records.longitudinal_params import FhirParams, SyntheaCsvParams
from simulation.records.one_hospital import records_of
from simulation.records.sources import fhir, synthea_csv
from simulation.records.sources.synthetic import cohort_of
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.tables import NOWHERE, Cohort

LOST = {
    ("Patient", "birth_min"),
    ("Observation", "low, high"),
    ("all", "until_min"),
    ("all", "risk"),
}


@functools.cache
def whole() -> Cohort:
    return cohort_of(SyntheticParams(patients_per_hospital=20, size_spread=0.2), 3, Streams(1))


def there_and_back(cohort: Cohort, folder: Path) -> Cohort:
    export(cohort, folder)
    return fhir.cohort(FhirParams(path=str(folder)))


def test_a_hospital_survives_but_for_what_fhir_has_no_place_for(tmp_path: Path) -> None:
    """Every field of every row, except the four that the table of losses explains."""
    before = records_of(whole(), 1)
    found = survivals(before, there_and_back(before, tmp_path / "out"))
    assert {(s.resource, s.field) for s in found if s.kept < s.rows} == LOST
    assert all(s.why for s in found if s.kept < s.rows)
    assert all(not s.why for s in found if s.kept == s.rows)
    assert {s.resource for s in found if s.rows} >= {
        "Organization", "Patient", "Encounter", "Condition", "Observation", "MedicationRequest",
        "DocumentReference",
    }  # fmt: skip


def test_the_table_of_losses_sees_a_loss(tmp_path: Path) -> None:
    """The check of the check: a file changed on the way; field and rows are named."""
    before = records_of(whole(), 1)
    folder = tmp_path / "out"
    export(before, folder)
    file = folder / "Encounter.ndjson"
    file.write_text(file.read_text().replace('"IMP"', '"AMB"', 2))
    found = survivals(before, fhir.cohort(FhirParams(path=str(folder))))
    (kind,) = [s for s in found if (s.resource, s.field) == ("Encounter", "kind")]
    assert kind.rows - kind.kept == 2
    assert kind.why == "lost"


def test_what_is_written_is_valid_and_refers_to_what_is_there(tmp_path: Path) -> None:
    """Validated by the library when it is read, every reference followed."""
    before = records_of(whole(), 0)
    counts = export(before, tmp_path / "out")
    found = read_resources(str(tmp_path / "out"))
    assert found.counts() == dict(sorted(counts.items()))
    rows = before.counts()
    assert counts["Observation"] == rows["observations"]
    assert found.references > counts["Observation"] * 2


def test_a_hospital_has_its_own_records_and_no_others() -> None:
    """Its encounters, their patients, and what is recorded there; together all records."""
    parts = [records_of(whole(), hospital) for hospital in range(3)]
    for name in ("encounters", "conditions", "observations", "medications", "notes"):
        assert sum(part.counts()[name] for part in parts) == whole().counts()[name]
    stays = whole().encounters
    for hospital, part in enumerate(parts):
        assert part.hospitals == (whole().hospitals[hospital],)
        assert sorted(part.encounters.id) == sorted(stays.id[stays.hospital == hospital])
        assert (part.conditions.encounter != NOWHERE).all()
    with pytest.raises(DataError, match=r"^hospital: must be between 0 and 2, got 3"):
        records_of(whole(), 3)


def test_real_exports_survive_as_well(real_data: Path, tmp_path: Path) -> None:
    """What came from FHIR or from Synthea's CSV goes out again; values that are no number stay
    none, and codes keep their system."""
    before = synthea_csv.cohort(SyntheaCsvParams(path=str(real_data / "synthea-csv")))
    busiest = int(np.argmax(np.bincount(before.encounters.hospital)))
    one = records_of(before, busiest)
    found = survivals(one, there_and_back(one, tmp_path / "out"))
    lost = {(s.resource, s.field) for s in found if s.kept < s.rows}
    assert lost <= {*LOST, ("Observation", "unit")}


def test_nothing_is_overwritten_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is there is refused; a failure leaves no file behind."""
    before = records_of(whole(), 0)
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match=r"^out: .*there exists already"):
        export(before, tmp_path / "there")
    monkeypatch.setattr(
        "simulation.records.fhir_export._time", lambda _: "yesterday"
    )  # no date of FHIR
    with pytest.raises(DataError, match=r"field birthDate.*FHIR R4"):
        export(before, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_command_says_what_survives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Resources by type, and the table of losses."""
    config = tmp_path / "cohort.yaml"
    config.write_text(
        "name: cohort\nhospitals: 2\ndata: {kind: synthetic, patients_per_hospital: 20}\n"
        "model: logistic\nledger: none\n"
    )
    export_command(str(config), tmp_path / "out", hospital=1, json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["resources"]["Organization"] == 1
    assert (tmp_path / "out" / "Patient.ndjson").is_file()
    survival = {(row["resource"], row["field"]): row for row in report["survival"]}
    assert survival["Condition", "code"]["kept"] == report["resources"]["Condition"]
