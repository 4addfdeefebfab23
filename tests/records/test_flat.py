"""Sources of rows as canonical tables: nothing is lost, nothing of the outcome seen too early."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.rng import Streams
from simulation.cli.data import export as export_command
from simulation.records.features import features_of
from simulation.records.fhir_export import export
from simulation.records.fhir_loss import survivals
from simulation.records.flat import OUTCOME, cohort_of, rows_of
from simulation.records.longitudinal_params import FhirParams
from simulation.records.one_hospital import records_of
from simulation.records.params import CsvParams, LevelsInput, NumberInput
from simulation.records.registry import SOURCES, source_of
from simulation.records.schema import Field, Schema
from simulation.records.sources import fhir
from simulation.records.table import Table
from simulation.records.tables import NEVER, SEXES, UNKNOWN_MIN, YEAR_MIN

FLAT = [kind for kind, source in SOURCES.items() if source.cohort is None and kind != "csv"]
SCHEMA = Schema(
    label="ill",
    hospital="none in the data",
    fields=(
        Field("years", "age", "age", "a"),
        Field("sex", "sex", "male"),
        Field("days", "length of stay", "stay", "d"),
        Field("chol", "cholesterol", unit="mg/dL"),
        Field("cp", "chest pain", "condition"),
        Field("aspirin", "aspirin", "medication", missing=("?",)),
    ),
    day="2001-01-01",
)
FEATURES = ("years", "sex=M", "days", "chol", "cp_2", "cp_3", "aspirin=Y", "aspirin=?")


def table_of(rows: list[tuple[int, ...]], labels: list[int]) -> Table:
    """Rows of age, sex, days, cholesterol, chest pain (0, 2, 3) and aspirin (0, Y, ?)."""
    x = [
        [age, male, days, chol / 8, pain == 1, pain == 2, drug == 1, drug == 2]
        for age, male, days, chol, pain, drug in rows
    ]
    ends = np.full(len(FEATURES), 1.0)
    return Table(FEATURES, np.array(x, dtype=np.float64), np.array(labels), 0 * ends, ends)


row = st.tuples(
    st.integers(0, 100), st.integers(0, 1), st.integers(1, 14), st.integers(-800, 8000),
    st.integers(0, 2), st.integers(0, 2),
)  # fmt: skip


@given(st.lists(st.tuples(row, st.integers(0, 1)), min_size=1, max_size=8))
def test_any_rows_come_back(drawn: list[tuple[tuple[int, ...], int]]) -> None:
    """Ages, sexes, stays, numbers, levels and missing ones, in any mix."""
    table = table_of([row for row, _ in drawn], [label for _, label in drawn])
    x, y = rows_of(cohort_of(table, SCHEMA, "made"), SCHEMA, FEATURES)
    np.testing.assert_array_equal(x, table.x)
    np.testing.assert_array_equal(y, table.y)


def test_one_row_by_hand() -> None:
    """Where each input goes, so that a clinician would find it there."""
    table = table_of([(63, 1, 3, 1864, 2, 2)], [1])
    found = cohort_of(table, SCHEMA, "made")
    end = int(np.datetime64("2001-01-01", "m").astype(int))
    assert found.patients.birth_min.tolist() == [round(end - 63 * YEAR_MIN)]
    assert found.patients.sex.tolist() == [SEXES.index("male")]
    assert found.patients.death_min.tolist() == [NEVER]
    assert (found.encounters.end_min - found.encounters.start_min).tolist() == [3 * 24 * 60]
    seen = found.observations
    assert [seen.book.codes[code] for code in seen.code] == ["chol", "aspirin"]
    assert seen.value.tolist()[0] == 233.0
    assert np.isnan(seen.value[1]), "asked for, and missing"
    assert seen.units[seen.code[0]] == "mg/dL"
    had = found.conditions
    assert [had.book.codes[code] for code in had.code] == ["cp=3", OUTCOME]
    assert [had.book.displays[code] for code in had.code] == ["chest pain: 3", "ill"]
    assert had.book.system == "urn:wardchain:made"
    assert len(found.medications.code) == 0


def test_an_input_without_a_column_is_refused() -> None:
    """A schema that forgets a column is seen, not filled up with zeros."""
    table = table_of([(63, 1, 3, 1864, 2, 2)], [1])
    forgetful = replace(SCHEMA, fields=SCHEMA.fields[:-1])
    with pytest.raises(KeyError, match="aspirin"):
        cohort_of(table, forgetful, "made")


def test_the_nearest_column_is_meant() -> None:
    """A column's name may begin with another's; a level may look like a column."""
    fields = (Field("x", "x"), Field("x_y", "xy"), Field("x=a", "odd"))
    schema = Schema("", "", fields)
    assert schema.field_of("x_y") == (fields[1], "")
    assert schema.field_of("x_y=1") == (fields[1], "1")
    assert schema.field_of("x=a=b") == (fields[2], "b")
    assert schema.field_of("x_3") == (fields[0], "3")


@pytest.mark.parametrize("kind", FLAT)
def test_a_source_of_rows_loses_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    """From the tables come the rows that the source reads, bit for bit; hospitals too. All that is
    known is recorded before the encounter ends, the outcome alone after."""
    source = SOURCES[kind]
    if source.files:
        request.getfixturevalue("real_data")
    params = source.params()
    table = source.read(params)
    schema = source.schema_of(params)
    found = cohort_of(table, schema, kind)
    x, y = rows_of(found, schema, table.features)
    np.testing.assert_array_equal(x, table.x)
    np.testing.assert_array_equal(y, table.y)
    if table.site is not None:
        np.testing.assert_array_equal(found.encounters.hospital, table.site)
        assert found.hospitals == table.sites

    end = found.encounters.end_min
    assert (found.observations.time_min < end[found.observations.encounter]).all()
    had = found.conditions
    outcome = had.code == had.book.codes.index(OUTCOME)
    assert outcome.sum() == table.y.sum()
    assert (had.start_min[outcome] > end[had.encounter[outcome]]).all()
    assert (had.start_min[~outcome] < end[had.encounter[~outcome]]).all()
    given_ = found.medications
    assert (given_.start_min < end[given_.encounter]).all()


@pytest.mark.parametrize(("kind", "hospital"), [("heart_disease", 2), ("ist", 3)])
def test_rows_go_out_as_fhir_and_come_back(
    kind: str, hospital: int, real_data: Path, tmp_path: Path
) -> None:
    """A hospital's rows as FHIR R4, read again: the same inputs and labels."""
    del real_data
    source = SOURCES[kind]
    before = records_of(source.tables(source.params(), None, Streams(1)), hospital)
    export(before, tmp_path / "out")
    after = fhir.cohort(FhirParams(path=str(tmp_path / "out")))
    lost = {(s.resource, s.field) for s in survivals(before, after) if s.kept < s.rows}
    assert lost <= {
        ("Patient", "birth_min"), ("Observation", "low, high"), ("Observation", "unit"),
        ("all", "until_min"),
    }  # fmt: skip
    schema = source.schema_of(source.params())
    features = source.read(source.params()).features
    (x, y), (again, labels) = (rows_of(c, schema, features) for c in (before, after))
    np.testing.assert_allclose(again, x, atol=1 / 365, err_msg="but for the hour of birth")
    np.testing.assert_array_equal(labels, y)


def own_table(folder: Path) -> CsvParams:
    """A table with two rows of one patient, a level that is missing, and no ages."""
    path = folder / "own.csv"
    path.write_text("who,where,chol,smokes,ill\nann,A,233,yes,1\nann,B,250,,0\nbob,A,180,no,0\n")
    return CsvParams(
        path=str(path), label="ill", hospital="where", patient="who",
        inputs=(
            NumberInput(name="chol", low=0, high=600, unit="mg/dL"),
            LevelsInput(name="smokes", levels=("no", "yes", "")),
        ),
    )  # fmt: skip


def test_a_table_of_ones_own_becomes_records(tmp_path: Path) -> None:
    """Patients and hospitals by their columns; a birth that nobody knows is none in FHIR, and age
    is missing, which is said."""
    params = own_table(tmp_path)
    source = source_of("csv")
    found = source.tables(params, None, Streams(1))
    assert found.counts()["patients"] == 2
    assert found.encounters.patient.tolist() == [0, 0, 1]
    assert found.encounters.hospital.tolist() == [0, 1, 0]
    assert (found.patients.birth_min == UNKNOWN_MIN).all()
    x, y = rows_of(found, source.schema_of(params), source.read(params).features)
    assert x.tolist() == [[233, 1, 0], [250, 0, 1], [180, 0, 0]]
    assert y.tolist() == [1, 0, 0]

    export(found, tmp_path / "out")
    assert "birthDate" not in (tmp_path / "out" / "Patient.ndjson").read_text()
    after = fhir.cohort(FhirParams(path=str(tmp_path / "out")))
    assert (after.patients.birth_min == UNKNOWN_MIN).all()
    kinds = FhirParams(path="", index=("other",), outcome=("other",), horizon_days=1)
    apart = replace(
        after, encounters=replace(after.encounters, start_min=np.arange(3), end_min=np.arange(3)),
        until_min=10**6,
    )  # fmt: skip
    table = features_of(apart, kinds)
    assert np.isnan(table.x[:, table.features.index("age_years")]).all()
    n = len(table.y)
    (note,) = table.notes
    assert note == f"data: {n} of {n} rows are of patients without a birth date: age is missing"
    assert set(table.groups["age"]) == {""}


def test_a_constant_for_a_missing_number_is_no_measurement(tmp_path: Path) -> None:
    """An empty cell becomes an observation without a result, and the constant again on the way
    back."""
    path = tmp_path / "own.csv"
    path.write_text("chol,ill\n233,1\n,0\n")
    number = NumberInput(name="chol", low=0, high=600, missing=-1.0)
    params = CsvParams(path=str(path), label="ill", inputs=(number,))
    source = source_of("csv")
    found = source.tables(params, None, Streams(1))
    np.testing.assert_array_equal(found.observations.value, [233.0, np.nan])
    assert rows_of(found, source.schema_of(params), ("chol",))[0].tolist() == [[233.0], [-1.0]]


def test_the_command_exports_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``data export`` of a configuration whose source has rows."""
    params = own_table(tmp_path)
    config = tmp_path / "own.yaml"
    config.write_text(
        "name: own\nhospitals: 2\nmodel: logistic\nledger: none\npartition: natural\n"
        f"data: {{kind: csv, path: {params.path}, label: ill, hospital: where, patient: who, "
        "inputs: [{kind: number, name: chol, low: 0, high: 600, unit: mg/dL}]}\n"
    )
    export_command(str(config), tmp_path / "out", hospital=0)
    said = capsys.readouterr().out
    assert "Observation.ndjson: 2 resources, valid FHIR R4" in said
    assert "Condition.ndjson: 1 resources" in said
