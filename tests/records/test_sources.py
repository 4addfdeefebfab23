"""Every source, by the registry: licence, files, and rows that are numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.params import (
    BreastCancerParams,
    CsvParams,
    DataParams,
    HeartDiseaseParams,
    NumberInput,
)
from simulation.records.registry import SOURCES, source_of
from simulation.records.sources import heart_disease


@pytest.fixture
def params_of(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], DataParams]:
    """The least that a configuration must say about a source."""

    def build(kind: str) -> DataParams:
        if kind in {"fhir", "synthea_csv"}:
            folder = {"fhir": "synthea-fhir-bulk-notes", "synthea_csv": "synthea-csv"}[kind]
            return SOURCES[kind].params(path=str(request.getfixturevalue("real_data") / folder))
        if kind != "csv":
            return SOURCES[kind].params()
        path = tmp_path / "own.csv"
        path.write_text("age,outcome\n40,0\n71,1\n")
        inputs = (NumberInput(name="age", low=0, high=120),)
        return CsvParams(path=str(path), label="outcome", inputs=inputs)

    return build


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_says_where_it_comes_from(kind: str) -> None:
    """Title, licence and provenance are there to be printed; every file is pinned, and fetched from
    the data's original home."""
    source = SOURCES[kind]
    assert source.kind == kind
    assert source.title
    assert source.hospitals
    assert source.licence
    assert source.provenance
    for file in source.files:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.size_bytes > 0
    if source.download is not None:
        assert sorted(source.download.members.values()) == sorted(f.path for f in source.files)
        assert source.download.url.startswith("https://")


@pytest.mark.parametrize("kind", SOURCES)
def test_the_rows_of_a_source_are_complete_numbers(
    kind: str, params_of: Callable[[str], DataParams], request: pytest.FixtureRequest
) -> None:
    """Inputs are finite, labels are 0 or 1 and both occur, ranges are ranges."""
    source = SOURCES[kind]
    if source.files:
        request.getfixturevalue("real_data")
    table = source.read(params_of(kind))
    assert table.x.shape == (len(table.y), len(table.features))
    assert len(set(table.features)) == len(table.features)
    # Where a pipeline is to come, NaN stands for a missing number, never for a level.
    may_miss = np.array([not c.levels for c in table.columns] or [False])
    assert (np.isfinite(table.x) | may_miss).all()
    assert sorted(set(table.y.tolist())) == [0, 1]
    assert ((table.low < table.high) | np.isnan(table.low)).all()
    if table.site is not None:
        assert sorted(set(table.site.tolist())) == list(range(len(table.sites)))
    assert str(len(table.y)) in repr(table)
    assert "array" not in repr(table)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_declares_what_its_columns_mean(
    kind: str, params_of: Callable[[str], DataParams], request: pytest.FixtureRequest
) -> None:
    """Label, hospital column and missing codes; of every input the column, its meaning and unit,
    where the records themselves do not say. Every source maps into the canonical tables."""
    source = SOURCES[kind]
    if source.files:
        request.getfixturevalue("real_data")
    params = params_of(kind)
    schema = source.schema_of(params)
    assert schema.label
    assert schema.hospital
    assert schema.missing
    tables = source.tables(params, 2, Streams(1))
    assert tables.counts()["encounters"] > 0
    assert len(tables.observations.units) == len(tables.observations.book.codes)
    if source.cohort is not None:
        assert not schema.fields, "its records name their own codes and units"
        return
    table = source.read(params)
    used = [schema.field_of(name)[0] for name in table.features]
    assert set(used) == set(schema.fields)
    assert all(field.meaning for field in schema.fields)
    assert len(tables.encounters.id) == len(table.y)


def test_breast_cancer_is_the_bundled_data() -> None:
    """569 biopsies, 212 of them malignant, which is label 1."""
    table = source_of("breast_cancer").read(BreastCancerParams())
    assert table.x.shape == (569, 30)
    assert table.y.sum() == 212
    worst = table.features.index("worst_radius")
    assert table.x[table.y == 1, worst].mean() > table.x[table.y == 0, worst].mean()


def test_published_ranges_hold_the_bundled_data() -> None:
    """The documentation prints three digits, so the ends are met to half a unit of the last."""
    table = source_of("breast_cancer").read(BreastCancerParams())
    np.testing.assert_allclose(table.x.min(axis=0), table.low, rtol=0.002, atol=6e-4)
    np.testing.assert_allclose(table.x.max(axis=0), table.high, rtol=0.002, atol=6e-4)


def test_heart_disease_is_the_published_task(real_data: Path) -> None:
    """Complete cases 303 / 261 / 46 / 130, positive 45.9 / 37.5 / 97.8 / 77.7 %, 13 inputs."""
    del real_data
    table = source_of("heart_disease").read(HeartDiseaseParams())
    assert table.sites == ("cleveland", "hungarian", "switzerland", "va")
    assert table.site is not None
    assert np.bincount(table.site).tolist() == [303, 261, 46, 130]
    positive = [100 * table.y[table.site == site].mean() for site in range(4)]
    np.testing.assert_allclose(positive, [45.9, 37.5, 97.8, 77.7], atol=0.05)
    assert len(table.features) == 13
    assert table.features[8:] == ("cp_2", "cp_3", "cp_4", "restecg_1", "restecg_2")
    assert not table.x[table.site == 2, table.features.index("chol")].any(), "0 in every row"


def test_heart_disease_keeps_the_values_of_the_file(real_data: Path) -> None:
    """The first row of Cleveland, by hand: 63,1,1,145,233,1,2,150,0,2.3,…,0."""
    del real_data
    table = source_of("heart_disease").read(HeartDiseaseParams())
    assert table.x[0].tolist() == [63, 1, 145, 233, 1, 150, 0, 2.3, 0, 0, 0, 0, 1]
    assert table.y[0] == 0


def test_a_line_with_other_columns_is_refused() -> None:
    """The message names file, line and rule."""
    with pytest.raises(DataError, match=r"a\.data line 7: 3 columns, expected 14"):
        heart_disease._cells("1,2,3", "a.data", 7)


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    """The message lists what there is."""
    with pytest.raises(DataError, match=r"unknown source 'heart'.*breast_cancer, heart_disease"):
        source_of("heart")
