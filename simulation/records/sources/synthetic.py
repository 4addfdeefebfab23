"""The synthetic cohort as a source: made for the run's hospitals, from the run's seed."""

from __future__ import annotations

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.features import features_of
from simulation.records.schema import Schema
from simulation.records.source import Source
from simulation.records.synthetic.params import SyntheticParams
from simulation.records.table import Table
from simulation.records.tables import Cohort

EXAMPLE_HOSPITALS = 8
"""Hospitals of the cohort that is shown when nobody says how many."""
EXAMPLE_SEED = 42
"""Its seed."""


def cohort_of(params: SyntheticParams, hospitals: int, streams: Streams) -> Cohort:
    """The canonical tables of a number of hospitals.

    Raises:
        DataError: when there is no hospital.
    """
    from simulation.records.synthetic.cohort import build

    if hospitals < 1:
        raise DataError(f"hospitals: must be at least 1, got {hospitals}")
    fixed = params.cohort_seed
    return build(params, hospitals, streams if fixed is None else Streams(fixed))


def generate(params: SyntheticParams, hospitals: int | None, streams: Streams) -> Table:
    """One row for each stay with a known outcome.

    Raises:
        DataError: when there is no hospital, or the cohort is too small to hold both labels.
    """
    return features_of(generate_cohort(params, hospitals, streams), params)


def generate_cohort(params: SyntheticParams, hospitals: int | None, streams: Streams) -> Cohort:
    """The tables of `generate`'s rows: of the example's number of hospitals where none is said."""
    return cohort_of(params, EXAMPLE_HOSPITALS if hospitals is None else hospitals, streams)


def cohort(params: SyntheticParams) -> Cohort:
    """The example's tables: 8 hospitals, seed 42 unless the parameters fix another."""
    return cohort_of(params, EXAMPLE_HOSPITALS, Streams(EXAMPLE_SEED))


def read(params: SyntheticParams) -> Table:
    """The example's rows; a run makes its own (see `generate`)."""
    return features_of(cohort(params), params)


SOURCE = Source(
    kind="synthetic",
    title="Synthetic longitudinal records: stays, codes, values, drugs, notes; readmitted or not",
    hospitals="any number, unequal by size, case mix, coding, measuring and drift",
    licence="Apache-2.0, as the program that makes it",
    provenance="generated from the seed by simulation.records.synthetic; no real person",
    schema=Schema(
        label="an index encounter is followed by an outcome within horizon_days of its end",
        hospital="encounters.hospital, one of those that are made",
        missing="values that were not measured are absent",
    ),
    params=SyntheticParams,
    read=read,
    generate=generate,
    cohort=cohort,
    generate_cohort=generate_cohort,
)
