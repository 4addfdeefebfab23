"""Sides: train, validation, test, at random or by time, and nobody on two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.load import load
from simulation.records.params import (
    BreastCancerParams,
    HeartDiseaseParams,
    IidParams,
    IstParams,
    NaturalParams,
)
from simulation.records.partition import Part, deal
from simulation.records.split import Sides, divide, in_two
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.table import Table

CANCER = BreastCancerParams()


def labelled(rows: int, positive: float, seed: int = 0) -> Any:
    return (np.random.default_rng(seed).random(rows) < positive).astype(np.int64)


# ---- one hospital, at random --------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 42])
def test_heart_disease_has_the_published_split(real_data: Path, seed: int) -> None:
    """Train/test 199/104, 172/89, 30/16, 85/45, whatever the run's seed; stratified."""
    del real_data
    found = load(HeartDiseaseParams(), NaturalParams(), None, Streams(seed))
    sizes = [(len(shard.train_y), len(shard.test_y)) for shard in found]
    assert sizes == [(199, 104), (172, 89), (30, 16), (85, 45)]
    assert [shard.name for shard in found] == ["cleveland", "hungarian", "switzerland", "va"]
    test_positive = [int(shard.test_y.sum()) for shard in found]
    assert test_positive == [48, 33, 15, 35]
    other = load(HeartDiseaseParams(), NaturalParams(), 4, Streams(seed + 1))
    for a, b in zip(found, other, strict=True):
        assert np.array_equal(a.test_x, b.test_x), "the published split has a seed of its own"


def test_the_split_keeps_every_row_once_and_the_label_shares() -> None:
    """80/20 for each hospital, stratified where every class has more than two rows."""
    labels = labelled(403, 0.25)
    train, test = in_two(labels, None, 0.2, seed=3, hospital=0)
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(403))
    assert len(test) == 81
    assert labels[test].mean() == pytest.approx(labels.mean(), abs=0.01)


@pytest.mark.parametrize("positive", [0, 1, 2])
def test_a_class_that_is_too_rare_is_split_by_chance(positive: int) -> None:
    """Two rows cannot be stratified; one class alone need not be."""
    labels = np.zeros(30, dtype=np.int64)
    labels[:positive] = 1
    train, test = in_two(labels, None, 0.34, seed=1, hospital=0)
    assert len(train) + len(test) == 30


def test_a_hospital_too_small_to_split_is_an_error() -> None:
    """One row cannot be in both."""
    with pytest.raises(DataError, match="test_fraction: hospital 3 has 1 patients, too few"):
        in_two(np.array([1]), None, 0.2, seed=1, hospital=3)


def test_the_split_follows_the_seed_per_hospital() -> None:
    """Another run's seed gives another split, unless one is fixed."""
    free = [load(CANCER, IidParams(), 3, Streams(s)) for s in (1, 1, 2)]
    assert np.array_equal(free[0][1].test_x, free[1][1].test_x)
    assert not np.array_equal(free[0][1].test_x, free[2][1].test_x)


# ---- the sides of a federation ------------------------------------------------------------------


def visits(seed: int, rows: int = 240, people: int = 70, **changes: Any) -> Table:
    """Rows of people who are seen several times, some at several of three hospitals."""
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "site": rng.integers(0, 3, rows),
        "sites": ("a", "b", "c"),
        "patient": rng.integers(0, people, rows),
        "time_min": rng.integers(0, 1_000, rows),
        "horizon_min": 30,
    }
    x = rng.normal(size=(rows, 1))
    ends = np.array([-3.0]), np.array([3.0])
    return Table(("a",), x, labelled(rows, 0.4, seed), *ends, **{**fields, **changes})


def sides_of(table: Table, **given: Any) -> tuple[list[Part], list[Sides]]:
    parts = deal(table, NaturalParams(), None, Streams(1))
    return parts, divide(table, parts, BreastCancerParams(**given), Streams(1))[0]


@given(
    seed=st.integers(0, 40),
    validation=st.sampled_from([0.0, 0.2]),
    split=st.sampled_from(["random", "time"]),
)
def test_no_patient_is_on_two_sides(seed: int, validation: float, split: str) -> None:
    """Splits are by patient, across all hospitals, with and without validation, by any rule."""
    table = visits(seed)
    parts, sides = sides_of(table, validation_fraction=validation, split=split)
    assert table.patient is not None
    who = [
        {int(p) for side in sides for p in table.patient[getattr(side, name)]}
        for name in ("train", "validation", "test")
    ]
    assert sum(map(len, who)) == len(set.union(*who))
    assert bool(who[1]) == bool(validation)
    rows = [np.concatenate([side.train, side.validation, side.test]) for side in sides]
    for part, held in zip(parts, rows, strict=True):
        assert len(set(held.tolist())) == len(held)
        assert set(held.tolist()) <= set(part.rows.tolist())
        assert split == "time" or len(held) == len(part.rows), "at random, nothing is left out"


def test_sides_have_the_shares_that_were_asked_for() -> None:
    """60 / 20 / 20 of the rows; patients are what is drawn, so about."""
    table = visits(3, rows=6_000, people=6_000, patient=None)
    _, sides = sides_of(table, validation_fraction=0.2)
    sizes = np.array([[len(s.train), len(s.validation), len(s.test)] for s in sides])
    np.testing.assert_allclose(sizes.sum(axis=0) / 6_000, [0.6, 0.2, 0.2], atol=0.002)


def test_asking_for_validation_leaves_the_test_side_as_it_was(real_data: Path) -> None:
    """So results with and without a search for hyperparameters are of the same patients."""
    del real_data
    plain = load(HeartDiseaseParams(normalisation="none"), NaturalParams(), None, Streams(1))
    chosen = HeartDiseaseParams(normalisation="none", validation_fraction=0.1)
    for a, b in zip(plain, load(chosen, NaturalParams(), None, Streams(1)), strict=True):
        assert np.array_equal(a.test_x, b.test_x)
        assert len(a.validation_y) == 0 < len(b.validation_y)
        assert len(a.train_y) == len(b.train_y) + len(b.validation_y)


def test_by_time_what_is_tested_lies_after_what_was_learned() -> None:
    """At all hospitals: outcomes of training rows are known before the first validation row, these
    before the first test row."""
    table = visits(5, rows=3_000, people=2_000)
    parts, sides = sides_of(table, validation_fraction=0.2, split="time")
    time, end = table.time_min, table.horizon_min
    assert time is not None
    train, validation, test = (
        np.concatenate([time[getattr(side, name)] for side in sides])
        for name in ("train", "validation", "test")
    )
    assert train.max() + end <= validation.min()
    assert validation.max() + end <= test.min()
    _, notes = divide(table, parts, BreastCancerParams(split="time"), Streams(1))
    assert "rows whose outcome was not yet known" in notes[0]
    assert "of patients who are on an earlier side" in notes[0]


def test_a_split_by_time_needs_times() -> None:
    """Biopsies have none; the message says what to do."""
    with pytest.raises(DataError, match=r"^split: time needs rows with a time.*split: random"):
        load(BreastCancerParams(split="time"), IidParams(), 3, Streams(1))


def test_the_stroke_trial_is_split_by_month(real_data: Path) -> None:
    """January 1991 to May 1996; six months of outcomes lie between the sides."""
    del real_data
    found = load(IstParams(split="time"), NaturalParams(largest=True), 5, Streams(1))
    (note,) = [note for note in found.notes if note.startswith("split: ")]
    assert note.startswith("split: tested from 1995-")
    assert all(len(shard.test_y) for shard in found)


# ---- what a shard says of its rows --------------------------------------------------------------


def test_training_rows_of_a_patient_carry_one_code() -> None:
    """Codes from 0, as many as patients, the same where and only where the patient is."""
    params = SyntheticParams(patients_per_hospital=80)
    shards = load(params, NaturalParams(), 3, Streams(1))
    for shard in shards:
        codes = np.unique(shard.train_patient)
        assert codes.tolist() == list(range(len(codes)))
        assert len(codes) < len(shard.train_y), "people come back"
        assert shard.train_patient.shape == shard.train_y.shape
        male = shard.train_x[:, shard.features.index("sex=male")]
        for code in codes:
            assert len(set(male[shard.train_patient == code].tolist())) == 1, "one sex each"


def test_without_patients_every_row_is_one() -> None:
    """Biopsies name nobody."""
    for shard in load(CANCER, IidParams(), 3, Streams(1)):
        assert sorted(shard.train_patient.tolist()) == list(range(len(shard.train_y)))


def test_test_rows_know_their_subgroups(real_data: Path) -> None:
    """Sex and age band, in agreement with the inputs; in Cleveland's file 1 is male."""
    del real_data
    shard = load(HeartDiseaseParams(normalisation="none"), NaturalParams(), None, Streams(1))[0]
    sex = shard.test_x[:, shard.features.index("sex")]
    age = shard.test_x[:, shard.features.index("age")]
    assert (shard.test_groups["sex"] == np.where(sex == 1, "male", "female")).all()
    old = shard.test_groups["age"] == "60-79"
    assert (old == ((age >= 60) & (age < 80))).all()
    assert not load(CANCER, IidParams(), 3, Streams(1))[0].test_groups
