"""The synthetic cohort: what is drawn is what was said, and the ceiling is known."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.load import load
from simulation.records.params import NaturalParams
from simulation.records.sources.synthetic import cohort_of, generate
from simulation.records.synthetic.clinical import CONDITIONS, VALUES
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.table import Table
from simulation.records.tables import ENCOUNTER_KINDS, NEVER, Cohort

DIABETES = ("E11.65", "E11.9")
"""The precise and the loose code of one condition."""
SMALL = SyntheticParams(patients_per_hospital=250)


@functools.cache
def cohort(params: SyntheticParams = SMALL, hospitals: int = 6, seed: int = 1) -> Cohort:
    """Building takes a second, so each cohort is built once."""
    return cohort_of(params, hospitals, Streams(seed))


@functools.cache
def table(params: SyntheticParams = SMALL, hospitals: int = 6, seed: int = 1) -> Table:
    return generate(params, hospitals, Streams(seed))


def values(given: Cohort, name: str) -> np.ndarray:
    code = given.observations.book.displays.index(name)
    return given.observations.value[given.observations.code == code]


def test_the_cohort_follows_the_seed() -> None:
    """Same seed, same records to the last bit; another seed, others; a fixed seed, the run's does
    not matter."""
    again = cohort_of(SMALL, 6, Streams(1))
    np.testing.assert_array_equal(again.observations.value, cohort().observations.value)
    np.testing.assert_array_equal(again.conditions.code, cohort().conditions.code)
    assert cohort(seed=2).counts() != cohort().counts()
    fixed = replace(SMALL, cohort_seed=1)
    assert cohort_of(fixed, 6, Streams(9)).counts() == cohort().counts()


def test_labels_are_the_stays_that_follow() -> None:
    """Label 1 exactly where the patient's next stay, at any hospital, begins within 30 days;
    counted again here, one patient at a time."""
    given, rows = cohort().encounters, table()
    inpatient = given.kind == ENCOUNTER_KINDS.index("inpatient")
    assert rows.patient is not None
    assert rows.time_min is not None
    for row in range(0, len(rows.y), 37):
        end = rows.time_min[row]
        mine = given.start_min[inpatient & (given.patient == rows.patient[row])]
        assert rows.y[row] == ((mine > end) & (mine <= end + 30 * 1440)).any()


def test_labels_are_drawn_with_the_probability_that_is_kept() -> None:
    """Calibrated in every fifth of the risk: the kept probability is the one that was used."""
    given = table()
    assert given.risk is not None
    order = np.argsort(given.risk)
    for part in np.array_split(order, 5):
        deviation = np.sqrt((given.risk[part] * (1 - given.risk[part])).sum())
        assert abs(given.y[part].sum() - given.risk[part].sum()) < 4 * deviation
    assert 0.11 < given.y.mean() < 0.2


def test_the_ceiling_is_where_readmission_scores_live() -> None:
    """Best attainable AUROC 0.72 to 0.78; a linear model on the inputs comes near, not above."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    given = table()
    assert 0.72 < roc_auc_score(given.y, given.risk) < 0.8
    shards = load(SMALL, NaturalParams(), 6, Streams(1))
    train = np.concatenate([shard.train_x for shard in shards])
    test = np.concatenate([shard.test_x for shard in shards])
    model = LogisticRegression(C=0.02, max_iter=500)
    model.fit(train, np.concatenate([shard.train_y for shard in shards]))
    labels = np.concatenate([shard.test_y for shard in shards])
    found = roc_auc_score(labels, model.predict_proba(test)[:, 1])
    assert 0.62 < found < 0.78


def test_without_effects_the_label_is_a_coin_toss() -> None:
    """``effect: 0`` leaves one probability, and nothing to learn."""
    given = table(replace(SMALL, effect=0.0))
    assert given.risk is not None
    assert given.risk.std() == pytest.approx(0.0, abs=1e-12)


def test_values_are_within_what_a_living_adult_has() -> None:
    """Every value inside its physiologic range, and where a textbook says most are."""
    for value in VALUES:
        seen = values(cohort(), value.name)
        assert len(seen) > 100
        assert value.low <= seen.min() <= seen.max() <= value.high
    assert 11 < np.median(values(cohort(), "haemoglobin")) < 15
    assert 136 < np.median(values(cohort(), "sodium")) < 142
    assert 60 < np.median(values(cohort(), "heart rate")) < 95


def _together(given: Cohort, one: str, other: str) -> float:
    """Correlation of two values measured at the same time."""
    seen: list[dict[tuple[int, int], float]] = []
    for name in (one, other):
        of = given.observations
        rows = np.flatnonzero(of.code == of.book.displays.index(name))
        keys = zip(of.encounter[rows].tolist(), of.time_min[rows].tolist(), strict=True)
        seen.append(dict(zip(keys, of.value[rows].tolist(), strict=True)))
    both = sorted(seen[0].keys() & seen[1].keys())
    return float(np.corrcoef([seen[0][k] for k in both], [seen[1][k] for k in both])[0, 1])


def test_values_go_together_as_bodies_make_them() -> None:
    """Both pressures rise together, so do creatinine and urea; leucocytes and albumin part."""
    assert _together(cohort(), "systolic pressure", "diastolic pressure") > 0.5
    assert _together(cohort(), "creatinine", "urea nitrogen") > 0.4
    assert _together(cohort(), "albumin", "leucocytes") < -0.05


def test_conditions_show_in_values_and_drugs() -> None:
    """HbA1c is high, and metformin is given, where diabetes was coded."""
    given = cohort()
    diabetic = np.isin(given.conditions.code, [
        i for i, code in enumerate(given.conditions.book.codes) if code.startswith("E11")
    ])  # fmt: skip
    who = np.unique(given.conditions.patient[diabetic])
    of = given.observations
    hba1c = of.code == of.book.displays.index("HbA1c")
    has = np.isin(of.patient, who)
    assert np.median(of.value[hba1c & has]) > np.median(of.value[hba1c & ~has]) + 1
    metformin = given.medications.code == given.medications.book.displays.index("metformin")
    assert np.isin(given.medications.patient[metformin], who).mean() > 0.7


def test_conditions_evolve() -> None:
    """People get chronic conditions during the records; nobody loses one."""
    early = cohort().conditions
    share = []
    for low, high in ((0, 0.3), (0.7, 1)):
        begin, end = np.quantile(cohort().encounters.start_min, (low, high))
        stays = (cohort().encounters.start_min >= begin) & (cohort().encounters.start_min <= end)
        chronic = early.end_min == NEVER
        share.append(np.isin(early.encounter[chronic], np.flatnonzero(stays)).sum() / stays.sum())
    assert share[1] > share[0]
    assert len(CONDITIONS) >= 8


def test_hospitals_differ_as_far_as_they_are_told_to() -> None:
    """Sizes, coding, bias and missingness spread with their knobs, and not without."""
    apart = replace(SMALL, coding=2, measurement=3, missingness=2)
    alike = replace(
        SMALL, size_spread=0, case_mix=0, coding=0, measurement=0, missingness=0, drift=0
    )

    def spread(params: SyntheticParams, what: str) -> float:
        given = cohort(params)
        of, hospital = given.observations, given.encounters.hospital
        at = hospital[of.encounter]
        sodium = of.code == of.book.displays.index("sodium")
        albumin = of.code == of.book.displays.index("albumin")
        each = []
        for h in range(6):
            stays = (hospital == h) & (given.encounters.kind == 0)
            coded = given.conditions.code[
                np.isin(given.conditions.encounter, np.flatnonzero(stays))
            ]
            codes = [given.conditions.book.codes.index(code) for code in DIABETES]
            fine, loose = ((coded == code).sum() for code in codes)
            each.append({
                "size": np.log(stays.sum()),
                "codes": fine / (fine + loose),
                "bias": of.value[sodium & (at == h)].mean(),
                "missing": (albumin & (at == h)).sum() / (sodium & (at == h)).sum(),
            }[what])  # fmt: skip
        return float(np.std(each))

    for what in ("size", "codes", "bias", "missing"):
        assert spread(apart, what) > 2 * spread(alike, what), what


def test_patients_are_seen_at_more_than_one_hospital() -> None:
    """About the share that was asked for; none when none was asked for."""
    given = cohort().encounters
    pairs = np.unique(np.stack([given.patient, given.hospital]), axis=1)
    several = (np.bincount(pairs[0]) > 1).mean()
    assert 0.1 < several < 0.6
    home = cohort(replace(SMALL, visited_elsewhere=0.0)).encounters
    pairs = np.unique(np.stack([home.patient, home.hospital]), axis=1)
    assert np.bincount(pairs[0]).max() == 1


def test_stays_of_a_patient_do_not_overlap_and_end_with_death() -> None:
    """One bed at a time; nothing is recorded of the dead."""
    given = cohort().encounters
    order = np.lexsort([given.start_min, given.patient])
    same = given.patient[order][1:] == given.patient[order][:-1]
    stays = given.kind[order] == 0
    both = same & stays[1:] & stays[:-1]
    assert (given.start_min[order][1:] > given.end_min[order][:-1])[both].all()
    assert (given.end_min <= cohort().patients.death_min[given.patient]).all()


def test_a_note_says_what_the_tables_say() -> None:
    """Every code and last value of the stay is in its note, and the age; a slice is a list."""
    given = cohort()
    notes = given.notes
    assert len(notes.text) == (given.encounters.kind == 0).sum()
    for i in range(0, len(notes.text), 211):
        text, row = notes.text[i], notes.encounter[i]
        mine = given.conditions.encounter == row
        for code in given.conditions.code[mine]:
            assert f"({given.conditions.book.codes[code]})" in text
        drugs = given.medications.code[given.medications.encounter == row]
        assert all(given.medications.book.displays[code] in text for code in drugs)
        seen = given.observations.encounter == row
        for code in np.unique(given.observations.code[seen]):
            of = seen & (given.observations.code == code)
            last = given.observations.value[of][np.argmax(given.observations.time_min[of])]
            assert f"{given.observations.book.displays[code]} {last:g} " in text
    assert notes.text[:3] == [notes.text[0], notes.text[1], notes.text[2]]


def test_nobody_is_no_hospital() -> None:
    """The message names the field."""
    with pytest.raises(DataError, match=r"^hospitals: must be at least 1"):
        cohort_of(SMALL, 0, Streams(1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patients_per_hospital", 3),
        ("size_spread", -1.0),
        ("effect", 11.0),
        ("visited_elsewhere", 1.0),
        ("cohort_seed", -1),
        ("horizon_days", 0),
        ("lookback_days", (365, 180)),
        ("rare_share", 0.7),
        ("index", ()),
        ("test_fraction", 1.0),
    ],
)
def test_impossible_parameters_are_refused_by_name(field: str, value: object) -> None:
    """The message begins with the field."""
    with pytest.raises(ValueError, match=rf"^{field}: "):
        SyntheticParams(**{field: value})  # pyright: ignore[reportArgumentType]
