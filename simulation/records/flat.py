"""From rows to the canonical tables, and back: for sources with one line for each encounter.

A row becomes a patient, an encounter that ends when the prediction is made, and what its inputs
say: a number is an observation, an indicator that is 1 a coded event, a level that stands for a
missing value an observation without a result. The label is a condition recorded after the
encounter, so that nothing that looks at the time before its end can see it. `rows_of` undoes it;
what it gives back is tested to be the source's own rows, so nothing is lost on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simulation.records.schema import Field, Schema
from simulation.records.table import Index, Labels, Rows, Table
from simulation.records.tables import (
    DAY_MIN,
    ENCOUNTER_KINDS,
    NEVER,
    SEXES,
    UNKNOWN_MIN,
    YEAR_MIN,
    Codebook,
    Cohort,
    Encounters,
    Events,
    Notes,
    Observations,
    Patients,
)

OUTCOME = "outcome"
"""The code of the condition that says that a row's label is 1."""
NO_HOSPITAL = "unstated"
"""The hospital of a source that names none."""


def cohort_of(table: Table, schema: Schema, kind: str) -> Cohort:
    """The canonical tables of a source's rows; encounters in the order of the rows.

    Codes are the source's own (system ``urn:wardchain:KIND``): the name of the column, with
    ``=level`` for an indicator.

    Raises:
        KeyError: when the schema has no column for an input.
    """
    rows = len(table.y)
    day = int(np.datetime64(schema.day, "m").astype(np.int64))
    end = np.full(rows, day) if table.time_min is None else table.time_min
    known = np.arange(rows) if table.patient is None else table.patient
    people, first, person = np.unique(known, return_index=True, return_inverse=True)
    inputs = _inputs(schema, table.features)
    one = {given.field.place: table.x[:, given.column] for given in inputs if given.once}
    none = np.zeros(rows)
    born = end - np.rint(one.get("age", none) * YEAR_MIN).astype(np.int64)
    sex = np.where(one.get("male", none) == 1, SEXES.index("male"), SEXES.index("female"))
    coded = partial(_events, table, inputs, person, end, f"urn:wardchain:{kind}")
    return Cohort(
        hospitals=table.sites or (NO_HOSPITAL,),
        patients=Patients(
            id=_named("p", len(people)),
            birth_min=born[first] if "age" in one else np.full(len(people), UNKNOWN_MIN),
            death_min=np.full(len(people), NEVER),
            sex=sex[first] if "male" in one else np.full(len(people), SEXES.index("unknown")),
        ),
        encounters=Encounters(
            id=_named("e", rows),
            patient=person,
            hospital=np.zeros(rows, dtype=np.int64) if table.site is None else table.site,
            start_min=end
            - np.maximum(np.rint(one.get("stay", none) * DAY_MIN), 1).astype(np.int64),
            end_min=end,
            kind=np.full(rows, ENCOUNTER_KINDS.index(schema.encounter)),
            admission=np.zeros(rows, dtype=np.int64),
        ),
        conditions=coded("condition", outcome=(schema.label, end + max(table.horizon_min, 1))),
        observations=_observations(table, inputs, person, end, f"urn:wardchain:{kind}"),
        medications=coded("medication"),
        notes=Notes(*(np.zeros(0, dtype=np.int64) for _ in range(3)), text=()),
        until_min=int(end.max()) + max(table.horizon_min, 1),
    )


def rows_of(cohort: Cohort, schema: Schema, features: Sequence[str]) -> tuple[Rows, Labels]:
    """Inputs, shape (encounters, features), and labels, shape (encounters,), of such tables.

    Raises:
        KeyError: when the schema has no column for a feature.
    """
    given, seen = cohort.encounters, cohort.observations
    x = np.zeros((len(given.id), len(features)))
    for put in _inputs(schema, features):
        column = x[:, put.column]
        match put.field.place:
            case "age":
                column[:] = (given.end_min - cohort.patients.birth_min[given.patient]) / YEAR_MIN
            case "male":
                column[:] = cohort.patients.sex[given.patient] == SEXES.index("male")
            case "stay":
                column[:] = (given.end_min - given.start_min) / DAY_MIN
            case _ if put.missing:
                rows = _rows(seen, put.code)
                column[seen.encounter[rows[np.isnan(seen.value[rows])]]] = 1.0
            case "observation":
                rows = _rows(seen, put.code)
                value = seen.value[rows]
                if put.field.fill is not None:
                    value = np.where(np.isnan(value), put.field.fill, value)
                column[seen.encounter[rows]] = value
            case "condition" | "medication" as place:
                events = cohort.conditions if place == "condition" else cohort.medications
                column[events.encounter[_rows(events, put.code)]] = 1.0
    labels = np.zeros(len(given.id), dtype=np.int64)
    labels[cohort.conditions.encounter[_rows(cohort.conditions, OUTCOME)]] = 1
    return x, labels


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of a table, and where it goes."""

    column: int
    field: Field
    level: str
    """The level that it indicates; empty for a number."""

    @property
    def once(self) -> bool:
        """Whether it is said of the patient or the encounter, in a column of its own."""
        return self.field.place in {"age", "male", "stay"}

    @property
    def missing(self) -> bool:
        """Whether it says that the value is missing."""
        return self.level != "" and self.level in {"missing", *self.field.missing}

    @property
    def code(self) -> str:
        """What it is coded with; a missing value has the code of its column."""
        return (
            self.field.name if self.missing or not self.level else f"{self.field.name}={self.level}"
        )

    @property
    def display(self) -> str:
        """What that means, in words."""
        said = self.field.meaning
        return said if self.missing or not self.level else f"{said}: {self.level}"

    @property
    def always(self) -> bool:
        """Whether every row has it: a number has a value, of levels only one is there."""
        return self.level == "" and self.field.place == "observation"


def _inputs(schema: Schema, features: Sequence[str]) -> list[_Input]:
    return [_Input(column, *schema.field_of(name)) for column, name in enumerate(features)]


def _rows(table: Events | Observations, code: str) -> Index:
    codes = table.book.codes
    return np.flatnonzero(table.code == codes.index(code)) if code in codes else _none()


def _none() -> Index:
    return np.zeros(0, dtype=np.int64)


def _named(letter: str, count: int) -> NDArray[np.str_]:
    return np.char.add(letter, np.arange(count).astype(np.str_))


def _events(
    table: Table,
    inputs: Sequence[_Input],
    person: Index,
    end: Index,
    system: str,
    place: str,
    outcome: tuple[str, Index] | None = None,
) -> Events:
    """Indicators that are 1, in the order of the encounters and then of the inputs.

    They are recorded a minute before the encounter's end, when the prediction is made; the outcome
    (what it says in words, and when) after it.
    """
    wanted = [put for put in inputs if put.field.place == place and not put.missing]
    said = [(put.code, put.display, table.x[:, put.column] == 1, end - 1) for put in wanted]
    if outcome is not None:
        said.append((OUTCOME, outcome[0], table.y == 1, outcome[1]))
    rows = [np.flatnonzero(here) for _, _, here, _ in said]
    encounter = np.concatenate([*rows, _none()])
    code = np.repeat(np.arange(len(said)), [len(r) for r in rows])
    start = np.concatenate([*(time[r] for r, (*_, time) in zip(rows, said, strict=True)), _none()])
    order = np.argsort(encounter, kind="stable")
    return Events(
        patient=person[encounter[order]],
        encounter=encounter[order],
        code=code[order],
        start_min=start[order],
        end_min=np.full(len(order), NEVER),
        book=Codebook(tuple(s[0] for s in said), tuple(s[1] for s in said), system),
    )


def _observations(
    table: Table, inputs: Sequence[_Input], person: Index, end: Index, system: str
) -> Observations:
    """Numbers of all rows, indicators that are 1, and what was asked for and is missing."""
    wanted = [
        put for put in inputs if not put.once and (put.missing or put.field.place == "observation")
    ]
    codes = {put.code: put for put in wanted}
    place = {code: i for i, code in enumerate(codes)}
    ends = {
        put.code: (table.low[put.column], table.high[put.column]) for put in wanted if put.always
    }
    rows = [
        np.arange(len(table.y)) if put.always else np.flatnonzero(table.x[:, put.column] == 1)
        for put in wanted
    ]
    value = [
        np.full(len(r), np.nan) if put.missing else _measured(put, table.x[r, put.column])
        for put, r in zip(wanted, rows, strict=True)
    ]
    encounter = np.concatenate([*rows, _none()])
    code = np.repeat([place[put.code] for put in wanted], [len(r) for r in rows]).astype(np.int64)
    order = np.argsort(encounter, kind="stable")
    return Observations(
        patient=person[encounter[order]],
        encounter=encounter[order],
        code=code[order],
        time_min=end[encounter[order]] - 1,
        value=np.concatenate([*value, np.zeros(0)])[order],
        book=Codebook(tuple(codes), tuple(put.display for put in codes.values()), system),
        units=tuple(put.field.unit for put in codes.values()),
        low=np.array([ends.get(code, (np.nan, np.nan))[0] for code in codes]),
        high=np.array([ends.get(code, (np.nan, np.nan))[1] for code in codes]),
    )


def _measured(put: _Input, value: Rows) -> Rows:
    """Values, with no result where a constant stands for a missing one: nobody measured that."""
    return value if put.field.fill is None else np.where(value == put.field.fill, np.nan, value)
