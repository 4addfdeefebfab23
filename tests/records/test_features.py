"""From records to rows: nothing of the future, nothing of other hospitals, nothing of test rows."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.features import features_of, target_of
from simulation.records.load import load
from simulation.records.params import IidParams, NaturalParams
from simulation.records.partition import deal
from simulation.records.pipeline import fit
from simulation.records.sources.synthetic import cohort_of, generate
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.table import Column, Table
from simulation.records.tables import DAY_MIN, NEVER, Cohort, Encounters, Events, Observations

SMALL = SyntheticParams(patients_per_hospital=60)


@functools.cache
def cohort() -> Cohort:
    return cohort_of(SMALL, 4, Streams(3))


@functools.cache
def whole() -> Table:
    return features_of(cohort(), SMALL)


def _later(times: np.ndarray, cut: int, rng: np.random.Generator) -> np.ndarray:
    """Times from the cut on, moved at random but never before it."""
    moved = cut + rng.integers(0, 400 * DAY_MIN, len(times))
    return np.where(times >= cut, moved, times)


def _events(table: Events, cut: int, rng: np.random.Generator) -> Events:
    """Everything recorded from the cut on gets another code; ends from the cut on move."""
    code = np.where(
        table.start_min >= cut, rng.integers(0, len(table.book.codes), len(table.code)), table.code
    )
    return replace(
        table,
        code=code,
        start_min=_later(table.start_min, cut, rng),
        end_min=_later(table.end_min, cut, rng),
    )


def _future_changed(original: Cohort, cut: int, seed: int) -> Cohort:
    """The same past, another future: from the cut on, everything is different."""
    rng = np.random.default_rng(seed)
    of, stays, people = original.observations, original.encounters, original.patients
    late = of.time_min >= cut
    ends = np.where(stays.end_min > cut, stays.end_min + DAY_MIN, stays.end_min)
    begun = stays.start_min >= cut
    return replace(
        original,
        patients=replace(people, death_min=_later(people.death_min, cut + 1, rng)),
        encounters=replace(
            stays,
            end_min=ends,
            kind=np.where(begun, rng.integers(0, 4, len(ends)), stays.kind),
            admission=np.where(begun, rng.integers(0, 3, len(ends)), stays.admission),
        ),
        conditions=_events(original.conditions, cut, rng),
        medications=_events(original.medications, cut, rng),
        observations=replace(
            of,
            value=np.where(late, rng.normal(0, 1000, len(late)), of.value),
            code=np.where(late, rng.integers(0, len(of.book.codes), len(late)), of.code),
            time_min=_later(of.time_min, cut, rng),
        ),
    )


def _by_row(table: Table) -> dict[tuple[int, int], dict[str, float]]:
    """Raw inputs by patient and time of prediction."""
    assert table.patient is not None
    assert table.time_min is not None
    keys = zip(table.patient.tolist(), table.time_min.tolist(), strict=True)
    return {
        key: dict(zip(table.features, row, strict=True))
        for key, row in zip(keys, table.x.tolist(), strict=True)
    }


@settings(max_examples=15, deadline=None)
@given(row=st.integers(0, 10_000), seed=st.integers(0, 1_000))
def test_nothing_from_the_prediction_on_enters_a_feature(row: int, seed: int) -> None:
    """Change codes, values, times, ends, kinds and deaths from the moment of a prediction on: no
    input of any row predicted until then moves."""
    original = whole()
    assert original.time_min is not None
    cut = int(original.time_min[row % len(original.y)])
    try:
        after = _by_row(features_of(_future_changed(cohort(), cut, seed), SMALL))
    except DataError:
        reject()  # so early a cut that no outcome is left
    compared = 0
    for key, inputs in _by_row(original).items():
        if key[1] > cut or key not in after:
            continue
        compared += 1
        for name, value in inputs.items():
            np.testing.assert_equal(after[key][name], value, err_msg=f"{name} at {key}")
    assert compared > 0 or row % len(original.y) == 0


def test_the_past_does_enter() -> None:
    """The same change made to the past moves inputs, so the test above can see one."""
    of = cohort().observations
    changed = replace(cohort(), observations=replace(of, value=of.value + 1))
    before, after = whole(), features_of(changed, SMALL)
    assert not np.array_equal(before.x, after.x, equal_nan=True)


def test_a_row_sees_its_own_hospital_only() -> None:
    """Records at other hospitals, the outcome apart, do not move a row's inputs."""
    here = 0
    stays, of = cohort().encounters, cohort().observations
    elsewhere = stays.hospital[of.encounter] != here
    drugs = cohort().medications
    away = stays.hospital[drugs.encounter] != here
    changed = replace(
        cohort(),
        observations=replace(of, value=np.where(elsewhere, 0.0, of.value)),
        medications=replace(drugs, code=np.where(away, 0, drugs.code)),
    )
    before, after = whole(), features_of(changed, SMALL)
    rows = before.site == here
    np.testing.assert_array_equal(before.x[rows], after.x[rows])


# ---- counted by hand ----------------------------------------------------------------------------


def _tiny() -> Cohort:
    """One patient, two stays 20 days apart, a value before, at and after the first discharge."""
    base = cohort()
    end = 1000 * DAY_MIN
    stays = Encounters(
        id=np.array(["a", "b", "c"]),
        patient=np.array([0, 0, 1]),
        hospital=np.array([0, 0, 0]),
        start_min=np.array([end - 2 * DAY_MIN, end + 20 * DAY_MIN, end]),
        end_min=np.array([end, end + 22 * DAY_MIN, end + DAY_MIN]),
        kind=np.array([0, 0, 0]),
        admission=np.array([2, 1, 1]),
    )
    observations = Observations(
        patient=np.array([0, 0, 0]),
        encounter=np.array([0, 0, 0]),
        code=np.array([0, 0, 0]),
        time_min=np.array([end - 60, end, end - 120]),
        value=np.array([11.0, 99.0, 7.0]),
        book=base.observations.book,
        units=base.observations.units,
        low=base.observations.low,
        high=base.observations.high,
    )
    nothing = replace(
        base.medications, **{n: np.array([], dtype=np.int64) for n in
        ("patient", "encounter", "code", "start_min", "end_min")}
    )  # fmt: skip
    conditions = Events(
        patient=np.array([0, 0]),
        encounter=np.array([0, 0]),
        code=np.array([3, 5]),
        start_min=np.array([end - 10, end - DAY_MIN]),
        end_min=np.array([NEVER, end - 5]),
        book=base.conditions.book,
    )
    people = base.patients
    return Cohort(
        hospitals=("only",),
        patients=replace(
            people,
            id=np.array(["p", "q"]),
            birth_min=np.array([0, 0]),
            death_min=np.array([NEVER, NEVER]),
            sex=np.array([0, 1]),
        ),
        encounters=stays,
        conditions=conditions,
        observations=observations,
        medications=nothing,
        notes=replace(
            base.notes,
            patient=np.array([], dtype=np.int64),
            encounter=np.array([], dtype=np.int64),
            time_min=np.array([], dtype=np.int64),
            text=(),
        ),
        until_min=end + 60 * DAY_MIN,
    )


def test_a_row_by_hand() -> None:
    """The last value strictly before discharge, codes that are open then, earlier stays by their
    end, and the label from the stay 20 days later."""
    table = features_of(_tiny(), SMALL)
    names, book = table.features, cohort().conditions.book
    rows = {name: table.x[:, names.index(name)].tolist() for name in names}
    assert table.y.tolist() == [1, 0, 0]
    code = cohort().observations.book.codes[0]
    assert rows[f"last_{code}"][0] == 11.0
    assert rows[f"last_{code}"][1] == 11.0 or np.isnan(rows[f"last_{code}"][2])
    assert rows["log_measurements"][0] == pytest.approx(np.log(3))
    assert rows[f"condition_{book.codes[3][:3]}"][0] == 1.0, "begun, not ended"
    assert rows[f"condition_{book.codes[5][:3]}"][0] == 0.0, "ended before discharge"
    assert rows["inpatient_180d"] == pytest.approx([0.0, np.log(2), 0.0])
    principal = table.columns[names.index("principal")]
    assert principal.levels[int(rows["principal"][0])] == book.codes[3][:3]
    assert principal.levels[int(rows["principal"][2])] == "none"


def test_what_has_no_known_outcome_is_left_out() -> None:
    """A stay that ends nearer to the end of the records than the horizon; a stay not survived."""
    tiny = _tiny()
    early = replace(tiny, until_min=1000 * DAY_MIN + 31 * DAY_MIN)
    assert target_of(early, SMALL).encounter.tolist() == [0, 2]
    dead = replace(tiny, patients=replace(tiny.patients, death_min=np.array([
        NEVER, 1000 * DAY_MIN + DAY_MIN])))  # fmt: skip
    assert target_of(dead, SMALL).encounter.tolist() == [0, 1]
    with pytest.raises(DataError, match="not both labels occur"):
        target_of(tiny, replace(SMALL, horizon_days=5))


def test_a_cohort_that_refers_to_nothing_is_refused() -> None:
    """Table, row and column are named."""
    tiny = _tiny()
    stays = tiny.encounters
    with pytest.raises(DataError, match=r"encounters row 1, column patient: refers to no row"):
        replace(tiny, encounters=replace(stays, patient=np.array([0, 7, 1])))
    with pytest.raises(DataError, match=r"encounter b: ends before it begins"):
        replace(tiny, encounters=replace(stays, end_min=stays.end_min - np.array([0, 99999, 0])))
    with pytest.raises(DataError, match=r"conditions: a column has 1 rows, expected 2"):
        replace(tiny, conditions=replace(tiny.conditions, code=np.array([0])))


# ---- splitting and the pipeline -----------------------------------------------------------------


def test_no_patient_is_on_two_sides() -> None:
    """Not at one hospital, and not at two: who is tested anywhere is trained on nowhere."""
    params = SyntheticParams(patients_per_hospital=150, visited_elsewhere=0.4)
    table = generate(params, 4, Streams(5))
    assert table.patient is not None
    # The patient's number takes the place of every input, and comes out at the other end.
    marked = replace(
        table,
        features=("patient",),
        columns=(Column("patient"),),
        x=table.patient[:, None] + 1.0,
        low=np.array([0.0]),
        high=np.array([9.0]),
    )
    import simulation.records.load as loading
    from simulation.records.registry import source_of

    source = replace(source_of("synthetic"), generate=lambda *_: marked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "source_of", lambda _: source)
        found = load(replace(params, normalisation="none"), NaturalParams(), 4, Streams(5))
    train = {int(v) for shard in found for v in shard.train_x[:, 0]}
    test = {int(v) for shard in found for v in shard.test_x[:, 0]}
    several = [deal(table, NaturalParams(), 4, Streams(5))[h].rows for h in range(4)]
    known = [set(table.patient[rows].tolist()) for rows in several]
    assert len(known[0] & known[1]) > 10, "patients are shared, so the rule can be broken"
    assert not train & test
    share = len(test) / (len(test) + len(train))
    assert 0.15 < share < 0.25


def test_test_rows_move_nothing_that_is_fitted() -> None:
    """Same plan, same training inputs, whatever the test rows hold."""
    table = generate(SMALL, 4, Streams(5))
    train = np.arange(0, len(table.y), 2)
    changed = table.x.copy()
    changed[1::2, 0] *= 1000
    changed[1::2, [c.name == "sex" for c in table.columns]] = 3
    for normalisation in ("site", "pooled"):
        one = fit(table, train, 0.01, normalisation)
        other = fit(replace(table, x=changed), train, 0.01, normalisation)
        assert one.digest == other.digest
        np.testing.assert_array_equal(
            one.transform(table.x[train], one.scale_of(table, table.x[train])),
            other.transform(changed[train], other.scale_of(table, changed[train])),
        )


def _raw(**columns: tuple[list[float], tuple[str, ...]]) -> Table:
    return Table(
        features=tuple(columns),
        columns=tuple(Column(name, levels) for name, (_, levels) in columns.items()),
        x=np.column_stack([values for values, _ in columns.values()]),
        y=np.zeros(len(next(iter(columns.values()))[0]), dtype=np.int64),
        low=np.zeros(len(columns)),
        high=np.full(len(columns), 50.0),
    )


def test_the_pipeline_by_hand() -> None:
    """Median and interquartile range; an indicator for missing; rare levels folded into other; what
    is too rare is left out."""
    nan = float("nan")
    table = _raw(
        number=([1, 2, 3, 4, 5, nan, nan, 3, 3, 3], ()),
        level=([0, 0, 0, 0, 0, 1, 1, 1, 2, 3], ("a", "b", "c", "d")),
        rare=([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], ()),
    )
    plan = fit(table, np.arange(10), 0.15, "site")
    assert plan.features == ("number", "number=missing", "level=b", "level=other")
    inputs = plan.transform(table.x, plan.scale_of(table, table.x))
    quarter, median, three = np.quantile([1, 2, 3, 4, 5, 3, 3, 3], (0.25, 0.5, 0.75))
    assert inputs[4, 0] == pytest.approx((5 - median) / (three - quarter))
    assert inputs[5].tolist() == [0, 1, 1, 0]
    assert inputs[9, 2:].tolist() == [0, 1]
    assert inputs[0, 2:].tolist() == [0, 0]


def test_public_and_none_look_at_no_row() -> None:
    """The same plan whatever the rows: every column, every level, published ranges."""
    table = _raw(number=([1.0, 2.0], ()), level=([0.0, 0.0], ("a", "b")))
    other = replace(table, x=table.x * 7 % 2)
    for normalisation in ("public", "none"):
        one, two = (fit(t, np.arange(2), 0.4, normalisation) for t in (table, other))
        assert one.digest == two.digest
        assert one.features == ("number", "level=b", "level=other")
    inputs = fit(table, np.arange(2), 0.4, "public")
    assert inputs.transform(np.array([[50.0, 1.0]]), inputs.scale_of(table, table.x)).tolist() == [
        [1.0, 1.0, 0.0]
    ]
    unknown = replace(table, low=np.array([np.nan, 0]))
    with pytest.raises(DataError, match="published range, and 1 columns have none"):
        fit(unknown, np.arange(2), 0.4, "public")


def test_the_digest_tells_plans_apart() -> None:
    """Another level, another scale rule or other pooled statistics: another digest."""
    table = _raw(number=([1.0, 2.0, 9.0], ()), level=([0.0, 1.0, 1.0], ("a", "b")))
    rows = np.arange(3)
    digests = {
        fit(table, rows, 0.0, "site").digest,
        fit(table, rows, 0.0, "pooled").digest,
        fit(table, rows[:2], 0.0, "pooled").digest,
        fit(table, rows, 0.4, "site").digest,
        fit(table, rows, 0.0, "public").digest,
    }
    assert len(digests) == 5
    assert all(len(digest) == 32 for digest in digests)


def test_one_outlier_or_an_unmeasured_column_stays_bounded() -> None:
    """Scaled numbers end at ten interquartile ranges."""
    table = _raw(number=([1.0, 2.0, 3.0, 4.0], ()))
    plan = fit(table, np.arange(4), 0.0, "site")
    scale = plan.scale_of(table, table.x)
    assert plan.transform(np.array([[1e9]]), scale)[0, 0] == 10.0


def test_all_hospitals_have_the_same_inputs_and_say_so() -> None:
    """One list of inputs and one digest; what was shared to get there is said."""
    found = load(SMALL, NaturalParams(), 4, Streams(5))
    assert {shard.features for shard in found} == {found.features}
    assert found.pipeline is not None
    assert any("all training rows" in note for note in found.notes)
    public = load(replace(SMALL, normalisation="public"), IidParams(), 3, Streams(5))
    assert public.pipeline not in {None, found.pipeline}
    assert not public.notes
