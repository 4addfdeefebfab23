"""Dealing, splitting, scaling: in this order, and each by its rule."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.rng import Streams
from simulation.records import load as loading
from simulation.records.errors import DataError
from simulation.records.load import load
from simulation.records.oddities import what_is_odd
from simulation.records.params import (
    BreastCancerParams,
    DirichletParams,
    FeatureShiftParams,
    HeartDiseaseParams,
    IidParams,
    NaturalParams,
    QuantityParams,
)
from simulation.records.partition import deal
from simulation.records.registry import source_of
from simulation.records.shard import Shard
from simulation.records.split import in_two
from simulation.records.table import Table

CANCER = BreastCancerParams()


def table(rows: int = 200, positive: float = 0.4, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    return Table(
        features=("a", "b"),
        x=rng.normal(5, 2, (rows, 2)),
        y=(rng.random(rows) < positive).astype(np.int64),
        low=np.zeros(2),
        high=np.full(2, 10.0),
    )


# ---- dealing ------------------------------------------------------------------------------------


@given(
    hospitals=st.integers(1, 8),
    alpha=st.sampled_from([0.1, 0.5, 1.0, 100.0]),
    seed=st.integers(0, 50),
)
def test_every_row_goes_to_exactly_one_hospital(hospitals: int, alpha: float, seed: int) -> None:
    """Whatever the partition, seed and skew."""
    rows = table()
    for partition in (
        IidParams(),
        DirichletParams(alpha=alpha, min_size=4),
        QuantityParams(alpha=alpha, min_size=4),
        FeatureShiftParams(feature="a"),
    ):
        dealt = deal(rows, partition, hospitals, Streams(seed))
        assert sorted(np.concatenate([part.rows for part in dealt]).tolist()) == list(range(200))
        assert len(dealt) == hospitals
        assert min(len(part.rows) for part in dealt) >= 4


def test_dealing_follows_the_seed() -> None:
    """Same seed, same hospitals; another seed, others."""
    one, again, other = (deal(table(), DirichletParams(), 5, Streams(seed)) for seed in (1, 1, 2))
    assert [part.rows.tolist() for part in one] == [part.rows.tolist() for part in again]
    assert [part.rows.tolist() for part in one] != [part.rows.tolist() for part in other]


def test_alpha_is_the_skew() -> None:
    """Small alpha gives one-sided hospitals, large alpha equal ones."""

    def spread(alpha: float) -> float:
        rows = table(rows=2_000)
        shares = [
            rows.y[part.rows].mean()
            for seed in range(10)
            for part in deal(rows, DirichletParams(alpha=alpha, min_size=2), 4, Streams(seed))
        ]
        return float(np.std(shares))

    assert spread(0.1) > 1.5 * spread(2.0) > 3 * spread(1000.0)


def test_quantity_skew_is_in_the_size_alone() -> None:
    """Small alpha gives unequal hospitals of one label rate; large alpha equal ones."""
    rows = table(rows=8_000)

    def spread(alpha: float) -> tuple[float, float]:
        dealt = deal(rows, QuantityParams(alpha=alpha), 8, Streams(2))
        sizes = np.array([len(part.rows) for part in dealt])
        shares = np.array([rows.y[part.rows].mean() for part in dealt])
        deviation = np.sqrt(0.24 / sizes)  # what chance alone gives
        return float(sizes.std() / sizes.mean()), float(np.abs((shares - 0.4) / deviation).max())

    unequal, skew = spread(0.5)
    equal, _ = spread(1000.0)
    assert unequal > 0.5
    assert equal < 0.1
    assert skew < 3.5


def test_feature_shift_moves_one_input_and_no_size() -> None:
    """At strength 1 hospitals have ranges of their own, at 0 the same mean; missing is anywhere."""
    rows = table(rows=4_000)
    rows.x[:400, 0] = np.nan

    def means(strength: float) -> list[float]:
        dealt = deal(rows, FeatureShiftParams(feature="a", strength=strength), 4, Streams(1))
        assert [len(part.rows) for part in dealt] == [1_000] * 4
        gaps = [np.isnan(rows.x[part.rows, 0]).sum() for part in dealt]
        assert max(gaps) < 150, "patients without the input are spread evenly"
        others = [rows.x[part.rows, 1].mean() for part in dealt]
        assert max(others) - min(others) < 0.3
        return [float(np.nanmean(rows.x[part.rows, 0])) for part in dealt]

    apart = means(1.0)
    assert sorted(apart) == apart
    assert apart[3] - apart[0] > 4
    assert max(means(0.0)) - min(means(0.0)) < 0.3 < means(0.5)[3] - means(0.5)[0] < 4


def test_an_unknown_feature_is_refused_with_the_known_ones() -> None:
    """The message names the field and what there is."""
    with pytest.raises(DataError, match=r"^feature: this source has no input 'c'; choose one of a"):
        deal(table(), FeatureShiftParams(feature="c"), 4, Streams(1))


def test_a_cap_leaves_patients_out_and_says_so() -> None:
    """No hospital keeps more patients; all rows of a kept one stay; a note counts the others."""
    patient = np.arange(70) // 2
    rows = clinics(patient=patient)
    dealt = deal(rows, NaturalParams(cap=8), None, Streams(1))
    assert [len(part.rows) for part in dealt] == [10, 16, 16]
    for part in dealt:
        assert all((patient == p).sum() == 2 for p in patient[part.rows])
    assert [part.left_out for part in dealt] == [0, 12, 2]
    found = load(BreastCancerParams(), IidParams(cap=50), 4, Streams(1))
    assert [len(s.train_y) + len(s.test_y) for s in found] == [50] * 4
    assert "cap: 369 patients of 4 hospitals are left out, drawn at random" in found.notes


def test_a_size_that_no_draw_gives_is_an_error() -> None:
    """The message says which knobs to turn."""
    with pytest.raises(DataError, match=r"min_size: none of 1000 draws with alpha 0\.01"):
        deal(table(), DirichletParams(alpha=0.01, min_size=40), 4, Streams(1))


@pytest.mark.parametrize("hospitals", [None, 0, 11])
def test_an_impossible_number_of_hospitals_is_refused(hospitals: int | None) -> None:
    """The message names the field and what is possible."""
    with pytest.raises(DataError, match=r"^hospitals: "):
        deal(table(), DirichletParams(min_size=20), hospitals, Streams(1))


def test_a_source_without_hospitals_has_no_natural_partition() -> None:
    """Biopsies carry no hospital."""
    with pytest.raises(DataError, match="partition: this source knows no hospitals"):
        load(CANCER, NaturalParams(), 4, Streams(1))


def test_the_natural_partition_has_the_sources_number_of_hospitals(real_data: Path) -> None:
    """Seven hospitals of four do not exist."""
    del real_data
    message = "has 4 hospitals of at least 2 patients (cleveland, hungarian, switzerland, va), not "
    for hospitals in (3, 7):
        with pytest.raises(DataError, match=re.escape(message + str(hospitals))):
            load(HeartDiseaseParams(), NaturalParams(), hospitals, Streams(1))


def clinics(**changes: Any) -> Table:
    """Three clinics of 10, 40 and 20 rows."""
    given = table(rows=70)
    site = np.repeat([0, 1, 2], [10, 40, 20])
    fields = {"site": site, "sites": ("a", "b", "c"), **changes}
    return Table(given.features, given.x, given.y, given.low, given.high, **fields)


def test_small_hospitals_can_be_left_out_and_the_largest_taken() -> None:
    """Who is in the federation is said in the configuration, never guessed."""
    for partition, hospitals, names in (
        (NaturalParams(), None, "abc"),
        (NaturalParams(), 3, "abc"),
        (NaturalParams(min_size=20), 2, "bc"),
        (NaturalParams(largest=True), 2, "bc"),
        (NaturalParams(largest=True), 1, "b"),
    ):
        dealt = deal(clinics(), partition, hospitals, Streams(1))
        assert "".join(part.name for part in dealt) == names
    for partition in (NaturalParams(), NaturalParams(min_size=500)):
        with pytest.raises(DataError, match="hospitals: this source has"):
            deal(clinics(), partition, 2, Streams(1))


@given(seed=st.integers(0, 30))
def test_a_patient_is_never_divided(seed: int) -> None:
    """Splits are by patient, never by row, and so is dealing."""
    patient = np.random.default_rng(seed).integers(0, 25, 70)
    rows = clinics(patient=patient)
    for partition in (
        IidParams(),
        DirichletParams(min_size=2),
        QuantityParams(min_size=2),
        FeatureShiftParams(feature="b"),
    ):
        dealt = deal(rows, partition, 3, Streams(seed))
        held = [set(patient[part.rows].tolist()) for part in dealt]
        assert sum(len(one) for one in held) == len(set(patient.tolist()))
        assert sum(len(part.rows) for part in dealt) == 70
    train, test = in_two(rows.y, patient, 0.3, seed, hospital=0)
    assert not set(patient[train].tolist()) & set(patient[test].tolist())
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(70))


# ---- scaling ------------------------------------------------------------------------------------


def test_sites_are_scaled_by_their_own_training_rows() -> None:
    """Mean 0 and deviation 1 (n − 1) on training rows; test rows have no say."""
    for shard in load(CANCER, DirichletParams(), 4, Streams(5)):
        np.testing.assert_allclose(shard.train_x.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(shard.train_x.std(axis=0, ddof=1), 1, atol=1e-4)
        assert np.abs(shard.test_x.mean(axis=0)).max() > 1e-3


def test_test_rows_have_no_influence_on_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change every test row: no training row moves."""
    before = load(CANCER, IidParams(), 3, Streams(5))
    original = source_of("breast_cancer").read(CANCER)
    dealt = deal(original, IidParams(), 3, Streams(5))
    changed = original.x.copy()
    for hospital, part in enumerate(dealt):
        rows = part.rows
        seed = Streams(5).integer("records", "split", hospital) % 2**32
        _, test = in_two(original.y[rows], None, 0.2, seed, hospital)
        changed[rows[test]] *= 1000
    source = replace(source_of("breast_cancer"), read=lambda _: _with(original, changed))
    monkeypatch.setattr(loading, "source_of", lambda _: source)
    after = load(CANCER, IidParams(), 3, Streams(5))
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a.train_x, b.train_x)
        assert not np.array_equal(a.test_x, b.test_x)


def _with(original: Table, x: Any) -> Table:
    return Table(original.features, x, original.y, original.low, original.high)


def test_pooled_scaling_is_an_option_labelled_as_not_private() -> None:
    """All training rows together have mean 0 and deviation 1; a note goes with every result."""
    found = load(BreastCancerParams(normalisation="pooled"), IidParams(), 4, Streams(5))
    rows = np.concatenate([shard.train_x for shard in found])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows.std(axis=0, ddof=1), 1, atol=1e-4)
    assert any("not private" in note for note in found.notes)


def test_public_ranges_use_nothing_private() -> None:
    """Published ranges are mapped to −1 .. 1, and there is nothing to warn of."""
    found = load(BreastCancerParams(normalisation="public"), IidParams(), 4, Streams(5))
    rows = np.concatenate([part for shard in found for part in (shard.train_x, shard.test_x)])
    assert 0.98 < np.abs(rows).max() < 1.02
    assert not found.notes


def test_no_scaling_keeps_the_units() -> None:
    """Values are those of the source, in float32."""
    found = load(BreastCancerParams(normalisation="none"), IidParams(), 4, Streams(5))
    rows = np.concatenate([part for shard in found for part in (shard.train_x, shard.test_x)])
    original = source_of("breast_cancer").read(CANCER).x.astype(np.float32)
    assert np.array_equal(np.sort(rows, axis=0), np.sort(original, axis=0))


def test_a_constant_column_is_only_centred() -> None:
    """Dividing by a deviation of 0 would turn a test row that differs into a thousand million."""
    rows = np.column_stack([np.full(9, 0.1), np.arange(9.0)])
    shift, scale = loading._statistics(rows)
    assert scale[0] == 1.0
    assert shift[0] == pytest.approx(0.1)
    assert scale[1] == pytest.approx(np.arange(9.0).std(ddof=1))
    assert loading._statistics(rows[:1])[1].tolist() == [1, 1], "one row has no deviation"


# ---- what is odd --------------------------------------------------------------------------------


def test_hospitals_of_one_label_are_kept_and_named() -> None:
    """A visible warning with counts and the chosen handling, for either side of the split."""
    rng = np.random.default_rng(0)
    label = np.r_[np.zeros(20), rng.integers(0, 2, 40)].astype(np.int64)
    rows = Table(
        ("a",), rng.normal(size=(60, 1)), label, np.zeros(1), np.ones(1),
        site=np.repeat([0, 1, 2], 20), sites=("north", "south", "west"),
    )  # fmt: skip
    parts = deal(rows, NaturalParams(), None, Streams(1))
    one = [shard(train_y=np.array([0, 0, 0]), name="north"), shard(test_y=np.array([1]))]
    notes = list(what_is_odd(rows, parts, one))
    assert notes[0].startswith("data: training rows of north have one label only; they are kept")
    assert notes[1].startswith("data: test rows of north, hospital 2 have one label only")


def test_rows_of_hospitals_that_are_left_out_are_counted() -> None:
    """Two of three clinics are too small."""
    parts = deal(clinics(), NaturalParams(min_size=30), None, Streams(1))
    (note,) = what_is_odd(clinics(), parts, [])
    assert note.startswith("partition: 30 of 70 rows are left out, because their 2 hospitals are")


# ---- the shard ----------------------------------------------------------------------------------


def shard(**changes: Any) -> Shard:
    given: dict[str, Any] = {
        "hospital": 2,
        "train_x": np.ones((3, 2), dtype=np.float32),
        "train_y": np.array([0, 1, 1]),
        "train_patient": np.array([0, 0, 1]),
        "validation_x": np.ones((0, 2), dtype=np.float32),
        "validation_y": np.array([], dtype=np.int64),
        "test_x": np.ones((1, 2), dtype=np.float32),
        "test_y": np.array([1]),
        "features": ("a", "b"),
    }
    return Shard(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_y": np.array([0, 1])}, r"training inputs have shape \(3, 2\)"),
        ({"features": ("a",)}, r"expected \(3, 1\)"),
        ({"test_x": np.array([[1, np.nan]], dtype=np.float32)}, "not a finite number"),
        ({"train_y": np.array([0, 1, 2])}, "neither 0 nor 1"),
        (
            {"test_x": np.ones((0, 2), dtype=np.float32), "test_y": np.array([], dtype=np.int64)},
            "no test rows",
        ),
        ({"train_patient": np.array([0, 1])}, "not one patient for each training row"),
        ({"validation_y": np.array([1])}, r"validation inputs have shape \(0, 2\)"),
        ({"test_groups": {"sex": np.array(["male"] * 2)}}, "not one subgroup for each test row"),
    ],
)
def test_a_shard_that_cannot_be_used_is_refused(changes: dict[str, Any], message: str) -> None:
    """The message names the hospital and the rule, and no value."""
    with pytest.raises(DataError, match=f"hospital 2: .*{message}|{message}"):
        shard(**changes)


def test_a_shard_cannot_be_written_to_and_prints_no_record() -> None:
    """Records stay as they were loaded, and never reach a log by accident."""
    made = load(CANCER, IidParams(), 3, Streams(1))[0]
    for column in (made.train_x, made.train_y, made.train_patient, made.validation_x, made.test_x):
        with pytest.raises(ValueError, match="read-only"):
            column[:1] = 1
    assert repr(made) == "Shard(hospital=0, name='', train=152, test=38, features=30)"
    assert str(made) == repr(made)


def test_a_federation_is_the_shards_in_hospital_order() -> None:
    """Hospitals are numbered from 0, and share the inputs' names."""
    found = load(CANCER, IidParams(), 5, Streams(1))
    assert len(found) == 5
    assert [made.hospital for made in found] == [0, 1, 2, 3, 4]
    assert found[3].features == found.features
    assert "array" not in repr(found)
