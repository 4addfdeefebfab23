"""What the parameters of all sources have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Normalisation = Literal["site", "pooled", "public", "none"]
"""``site``: statistics of the hospital's own training rows; ``pooled``: of all hospitals' training
rows, which is not private; ``public``: published ranges, mapped to -1 .. 1; ``none``."""

Split = Literal["random", "time"]
"""How sides are chosen: patients at random, or rows by their time."""

EncounterKind = Literal["inpatient", "emergency", "ambulatory", "other"]
"""Kinds of encounter, as in `tables.ENCOUNTER_KINDS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitParams:
    """How a hospital's rows become training, validation and test rows. A patient is on one side."""

    test_fraction: float = 0.2
    """Share of each hospital's patients kept for testing, between 0 and 1; stratified by label
    where every class has more than two patients. A patient known to several hospitals is on the
    same side at all of them. With ``split: time``: share of the rows of all hospitals."""
    validation_fraction: float = 0.0
    """Share kept for choosing hyperparameters, from 0 to below 1 - test_fraction: neither trained
    on nor in any metric of a test. 0: none."""
    split: Split = "random"
    """``random``: patients are drawn. ``time``: test rows are the latest of all hospitals', then
    come the validation rows, then the training rows, so that drift shows in the metrics. Rows of a
    patient on two sides then stay on the earliest only, and rows whose outcome was not yet known
    when the next side begins are left out; both are counted in a note. Needs rows with a time."""
    split_seed: int | None = None
    """Seed of the split; none: drawn from the run's seed."""
    most_auroc: float | None = None
    """The highest AUROC that is believable for the task; an input or a linear discriminant above it
    sets off a warning of leakage. None: what the source's literature or known ceiling allows."""

    def __post_init__(self) -> None:
        check_fraction(self.test_fraction)
        check_seed(self.split_seed)
        if not 0 <= self.validation_fraction < 1 - self.test_fraction:
            raise ValueError(
                f"validation_fraction: must be from 0 to below 1 - test_fraction "
                f"({1 - self.test_fraction:g}), got {self.validation_fraction}; usual is 0.1"
            )
        if self.most_auroc is not None and not 0.5 <= self.most_auroc <= 1:
            raise ValueError(f"most_auroc: must be from 0.5 to 1, got {self.most_auroc}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordsParams(SplitParams):
    """Sources of longitudinal records: what is predicted, from what, and how it is scaled."""

    index: tuple[EncounterKind, ...] = ("inpatient",)
    """Kinds of encounter at whose end a prediction is made: one row of the table each."""
    outcome: tuple[EncounterKind, ...] = ("inpatient",)
    """Label 1: the patient's next encounter of one of these kinds, at any hospital, begins within
    the horizon."""
    horizon_days: int = 30
    """How long after the end of an encounter the outcome counts, in days. Encounters nearer than
    this to the end of the records have no known label and are left out."""
    lookback_days: tuple[int, ...] = (180, 365)
    """Windows before the prediction, in days, in which earlier encounters are counted; the longest
    is also how far back a measured value is taken from."""
    history: int = 1
    """Encounters in a row, for ``model.kind: attention``: the patient's last ones at the hospital
    up to the one that the outcome is asked of. Each has the row's inputs and an indicator; 1 leaves
    rows as they are."""
    rare_share: float = 0.01
    """Columns and levels that fewer than this share of the training rows have are left out or
    folded into ``other``; with normalisation ``public`` and ``none`` all are kept, since counting
    them is a use of private records."""
    normalisation: Normalisation = "site"
    """How inputs are scaled: by median and interquartile range of the training rows (``site``,
    ``pooled``: private statistics outside the guarantee), by published ranges, or not at all."""

    def __post_init__(self) -> None:
        SplitParams.__post_init__(self)
        if not self.index or not self.outcome:
            raise ValueError("index: index and outcome need at least one kind of encounter each")
        if self.horizon_days < 1:
            raise ValueError(f"horizon_days: must be at least 1, got {self.horizon_days}")
        if self.history < 1:
            raise ValueError(f"history: must be at least 1, got {self.history}")
        if not self.lookback_days or min(self.lookback_days) < 1:
            raise ValueError("lookback_days: needs at least one window, each of at least 1 day")
        if sorted(set(self.lookback_days)) != list(self.lookback_days):
            raise ValueError("lookback_days: must ascend, e.g. [180, 365]")
        if not 0 <= self.rare_share < 0.5:
            raise ValueError(f"rare_share: must be from 0 to below 0.5, got {self.rare_share}")


def check_fraction(value: float) -> None:
    """Refuse a test fraction that leaves one side empty."""
    if not 0 < value < 1:
        raise ValueError(f"test_fraction: must be between 0 and 1, got {value}; usual is 0.2")


def check_seed(value: int | None) -> None:
    """Refuse a seed that scikit-learn refuses."""
    if value is not None and not 0 <= value < 2**32:
        raise ValueError(f"split_seed: must be between 0 and 4294967295, got {value}")
