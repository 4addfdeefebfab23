"""The tables of one hospital out of those of all: its encounters, and what belongs to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulation.records.errors import DataError
from simulation.records.table import Index
from simulation.records.tables import NOWHERE, Cohort, Events, Notes, Observations


def records_of(cohort: Cohort, hospital: int) -> Cohort:
    """The records of one hospital alone, renumbered; the same codebooks.

    A record that belongs to no encounter belongs to no hospital, so it is not among them.

    Raises:
        DataError: when there is no such hospital.
    """
    if not 0 <= hospital < len(cohort.hospitals):
        raise DataError(
            f"hospital: must be between 0 and {len(cohort.hospitals) - 1}, got {hospital}"
        )
    stays = cohort.encounters
    kept = np.flatnonzero(stays.hospital == hospital)
    people = np.unique(stays.patient[kept])
    new_stay = _numbers(kept, len(stays.id))
    new_person = _numbers(people, len(cohort.patients.id))
    given = cohort.patients
    return Cohort(
        hospitals=(cohort.hospitals[hospital],),
        patients=replace(
            given,
            id=given.id[people],
            birth_min=given.birth_min[people],
            death_min=given.death_min[people],
            sex=given.sex[people],
        ),
        encounters=replace(
            stays,
            id=stays.id[kept],
            patient=new_person[stays.patient[kept]],
            hospital=np.zeros(len(kept), dtype=np.int64),
            start_min=stays.start_min[kept],
            end_min=stays.end_min[kept],
            kind=stays.kind[kept],
            admission=stays.admission[kept],
        ),
        conditions=_events(cohort.conditions, new_person, new_stay),
        observations=_observations(cohort.observations, new_person, new_stay),
        medications=_events(cohort.medications, new_person, new_stay),
        notes=_notes(cohort.notes, new_person, new_stay),
        until_min=cohort.until_min,
        risk=None if cohort.risk is None else cohort.risk[kept],
    )


def _numbers(kept: Index, size: int) -> Index:
    """The new number of each old row, `NOWHERE` for what is gone; one more for `NOWHERE` itself."""
    numbers = np.full(size + 1, NOWHERE, dtype=np.int64)
    numbers[kept] = np.arange(len(kept))
    return numbers


def _here(encounter: Index, new_stay: Index) -> NDArray[np.bool_]:
    return new_stay[encounter] != NOWHERE


def _events(table: Events, new_person: Index, new_stay: Index) -> Events:
    here = _here(table.encounter, new_stay)
    return replace(
        table,
        patient=new_person[table.patient[here]],
        encounter=new_stay[table.encounter[here]],
        code=table.code[here],
        start_min=table.start_min[here],
        end_min=table.end_min[here],
    )


def _observations(table: Observations, new_person: Index, new_stay: Index) -> Observations:
    here = _here(table.encounter, new_stay)
    return replace(
        table,
        patient=new_person[table.patient[here]],
        encounter=new_stay[table.encounter[here]],
        code=table.code[here],
        time_min=table.time_min[here],
        value=table.value[here],
    )


def _notes(table: Notes, new_person: Index, new_stay: Index) -> Notes:
    rows = np.flatnonzero(_here(table.encounter, new_stay)).tolist()
    return Notes(
        patient=new_person[table.patient[rows]],
        encounter=new_stay[table.encounter[rows]],
        time_min=table.time_min[rows],
        text=[table.text[row] for row in rows],
    )
