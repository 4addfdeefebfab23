"""Inputs that know the label are named; inputs that are merely good are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from simulation.base.rng import Streams
from simulation.records import load as loading
from simulation.records.leakage import alarms, auroc_of
from simulation.records.load import load
from simulation.records.params import BreastCancerParams, Diabetes130Params, IidParams
from simulation.records.partition import Part
from simulation.records.registry import source_of
from simulation.records.split import Sides, divide
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.table import Column, Table

COHORT = SyntheticParams(patients_per_hospital=150, cohort_seed=3)


def with_input(table: Table, name: str, values: Any, column: Column | None = None) -> Table:
    """The same rows with one more input."""
    return replace(
        table,
        features=(*table.features, name),
        columns=(*table.columns, column or Column(name)) if table.columns else (),
        x=np.column_stack([table.x, values]),
        low=np.append(table.low, 0.0),
        high=np.append(table.high, 1.0),
    )


def judged(table: Table, most: float | None = None) -> tuple[str, ...]:
    parts = [Part(np.arange(len(table.y)))]
    sides: list[Sides] = divide(table, parts, BreastCancerParams(), Streams(1))[0]
    return alarms(table, sides, most)


@pytest.fixture(scope="module")
def cancer() -> Table:
    return source_of("breast_cancer").read(BreastCancerParams())


def test_an_input_made_of_the_label_is_named(cancer: Table) -> None:
    """The alarm says which input, how good, and what to ask: the label itself, turned round, or
    blurred."""
    blur = np.random.default_rng(1).normal(0, 0.1, len(cancer.y))
    for values in (cancer.y * 2.0, -3.0 * cancer.y, cancer.y + blur):
        (note,) = judged(with_input(cancer, "discharge_letter", values))
        assert note.startswith("leakage: discharge_letter alone tells the labels")
        assert "known when the prediction is made" in note


def test_a_gap_that_knows_the_label_is_named(cancer: Table) -> None:
    """A value that is there only after the outcome, whatever it is."""
    values = np.where(cancer.y == 1, np.random.default_rng(0).random(len(cancer.y)), np.nan)
    (note,) = judged(with_input(cancer, "autopsy_weight", values))
    assert note.startswith("leakage: autopsy_weight alone")


def test_good_measurements_are_no_leakage(cancer: Table) -> None:
    """The worst perimeter of nuclei has AUROC 0.975; all of them together 0.99. Nor does the
    synthetic cohort set off the alarm at its own ceiling."""
    assert judged(cancer) == ()
    table = source_of("synthetic").table(COHORT, 6, Streams(1))
    assert table.risk is not None
    assert judged(table) == ()


def test_above_the_known_ceiling_is_impossible() -> None:
    """No input can tell more than the probability that drew the label: one that does is made of
    it, though its AUROC of 0.9 looks plausible."""
    table = source_of("synthetic").table(COHORT, 6, Streams(1))
    hint = table.y + np.random.default_rng(2).normal(0, 0.5, len(table.y))
    assert roc_auc_score(table.y, hint) < 0.96
    notes = judged(with_input(table, "hint", hint))
    assert any(note.startswith("leakage: hint alone") for note in notes)
    assert any(note.startswith("leakage: a linear discriminant of all inputs") for note in notes)
    level = Column("billing", ("none", "again", "never"))
    codes = np.where(np.random.default_rng(3).random(len(table.y)) < 0.1, 0, 1 + table.y)
    (first, *_) = judged(with_input(table, "billing", codes, level))
    assert first.startswith("leakage: billing alone")


def test_few_rows_set_off_nothing(cancer: Table) -> None:
    """Of nine test rows of a label, some input is always perfect."""
    few = np.flatnonzero(cancer.y == 1)[:12].tolist() + np.flatnonzero(cancer.y == 0)[:40].tolist()
    small = replace(cancer, x=cancer.x[few], y=cancer.y[few])
    assert judged(with_input(small, "copy", small.y)) == ()


def test_the_area_is_that_of_the_library() -> None:
    """With ties, against scikit-learn."""
    rng = np.random.default_rng(0)
    labels, scores = (rng.random(300) < 0.3).astype(np.int64), rng.integers(0, 9, 300) / 3
    assert auroc_of(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_the_alarm_stands_first_beside_every_result(
    cancer: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reaches the federation's notes, and so every run; most_auroc lowers what is believed."""
    assert not any(
        "leakage" in n for n in load(BreastCancerParams(), IidParams(), 4, Streams(1)).notes
    )
    strict = load(BreastCancerParams(most_auroc=0.9), IidParams(), 4, Streams(1)).notes
    assert "a linear discriminant of all inputs" in " ".join(strict)
    leaky = replace(
        source_of("breast_cancer"), read=lambda _: with_input(cancer, "outcome", cancer.y)
    )
    monkeypatch.setattr(loading, "source_of", lambda _: leaky)
    notes = load(BreastCancerParams(), IidParams(), 4, Streams(1)).notes
    assert notes[0].startswith("leakage: outcome alone")


def test_real_cohorts_are_below_their_marks(real_data: Path) -> None:
    """Above 0.70 on diabetes-130 means leakage; what the program reads stays below."""
    del real_data
    notes = load(Diabetes130Params(), IidParams(), 5, Streams(1)).notes
    assert not any(note.startswith("leakage") for note in notes)
