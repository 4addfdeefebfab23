"""The CSV export of Synthea as a source, into the same tables as FHIR.

Source: the column lists of Synthea's CSV data dictionary (synthetichealth/synthea wiki).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from simulation.records.assemble import Assembly, minutes
from simulation.records.errors import DataError
from simulation.records.features import features_of
from simulation.records.longitudinal_params import SyntheaCsvParams
from simulation.records.schema import Schema
from simulation.records.source import Source
from simulation.records.table import Table
from simulation.records.tables import ADMISSIONS, ENCOUNTER_KINDS, NEVER, SEXES, Cohort
from simulation.records.tabular import Text, read_text

_KINDS = {
    **dict.fromkeys(("inpatient", "hospice", "snf"), "inpatient"),
    **dict.fromkeys(("emergency",), "emergency"),
    **dict.fromkeys(("ambulatory", "outpatient", "urgentcare", "wellness"), "ambulatory"),
    **dict.fromkeys(("home", "virtual"), "other"),
}
_SEX = {"F": "female", "M": "male", "": "unknown"}


def cohort(params: SyntheaCsvParams) -> Cohort:
    """The tables of the export.

    Raises:
        DataError: when a file is absent or breaks a rule; the message names file, line, column and
            rule.
    """
    folder = Path(params.path).expanduser()
    into = Assembly(conditions="SNOMED CT", observations="LOINC", medications="RxNorm")
    for row in _rows(folder, "patients", ("Id", "BIRTHDATE", "DEATHDATE", "GENDER")):
        sex = row.one_of("GENDER", _SEX)
        times = row.time("BIRTHDATE"), row.time("DEATHDATE", NEVER)
        into.patient(row["Id"], *times, SEXES.index(sex), row.where("Id"))
    names = {row["Id"]: row["NAME"] for row in _rows(folder, "organizations", ("Id", "NAME"))}
    wanted = ("Id", "START", "STOP", "PATIENT", "ORGANIZATION", "ENCOUNTERCLASS")
    for row in _rows(folder, "encounters", wanted):
        if row["ORGANIZATION"] not in names:
            raise row.error("ORGANIZATION", "is not among the organizations")
        into.encounter(
            row["Id"],
            row["PATIENT"],
            names[row["ORGANIZATION"]],
            (row.time("START"), row.time("STOP", NEVER)),
            ENCOUNTER_KINDS.index(row.one_of("ENCOUNTERCLASS", _KINDS)),
            ADMISSIONS.index("unknown"),
            row.where("PATIENT"),
        )
    for name, table in (("conditions", into.conditions), ("medications", into.medications)):
        wanted = ("START", "STOP", "PATIENT", "ENCOUNTER", "CODE", "DESCRIPTION")
        for row in _rows(folder, name, wanted):
            number = table.number(row["CODE"], row["DESCRIPTION"])
            times = row.time("START"), row.time("STOP", NEVER)
            table.rows.append((*row.places(into), number, *times))
    wanted = ("DATE", "PATIENT", "ENCOUNTER", "CODE", "DESCRIPTION", "VALUE", "UNITS", "TYPE")
    for row in _rows(folder, "observations", wanted):
        number = into.observations.number(row["CODE"], row["DESCRIPTION"], row["UNITS"])
        time = row.time("DATE")
        into.observations.rows.append((*row.places(into), number, time, time))
        into.observations.values.append(row.number("VALUE") if row["TYPE"] == "numeric" else _NAN)
    return into.cohort()


_NAN = float("nan")


class _Row:
    """One line of a file, with its rules."""

    def __init__(self, text: Text, row: int) -> None:
        self.text, self.row = text, row

    def __getitem__(self, column: str) -> str:
        return str(self.text.columns[column][self.row])

    def where(self, column: str) -> str:
        """File, line and column."""
        return f"{self.text.path} line {self.text.lines[self.row]}, column {column}"

    def error(self, column: str, rule: str) -> DataError:
        return self.text.error(self.row, column, rule)

    def one_of(self, column: str, known: dict[str, str]) -> str:
        if self[column] not in known:
            raise self.error(column, f"must be one of {', '.join(filter(None, known))}")
        return known[self[column]]

    def time(self, column: str, absent: int | None = None) -> int:
        """Minutes since 1970 of a date or time."""
        if not self[column] and absent is not None:
            return absent
        try:
            return minutes(self[column])
        except (ValueError, OverflowError) as error:
            raise self.error(column, "must be a date or time, ISO 8601") from error

    def number(self, column: str) -> float:
        try:
            return float(self[column])
        except ValueError as error:
            raise self.error(column, "must be a number where TYPE is numeric") from error

    def places(self, into: Assembly) -> tuple[int, int]:
        """Rows of the patient and the encounter."""
        person = into.person(self["PATIENT"], self.where("PATIENT"))
        return person, into.place(self["ENCOUNTER"], self.where("ENCOUNTER"))


def _rows(folder: Path, name: str, wanted: Sequence[str]) -> Iterator[_Row]:
    path = folder / f"{name}.csv"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"data: cannot read {path} ({error.strerror})") from error
    text = read_text(data, path.name, wanted)
    for row in range(len(text.lines)):
        yield _Row(text, row)


def read(params: SyntheaCsvParams) -> Table:
    """One row for each index encounter with a known outcome.

    Raises:
        DataError: as for `cohort`, and when both labels do not occur.
    """
    return features_of(cohort(params), params)


SOURCE = Source(
    kind="synthea_csv",
    title="Synthea's CSV export: encounters, conditions, observations, medications",
    hospitals="organisations of the encounters",
    licence="the user's own data (Synthea: Apache-2.0)",
    provenance="files of the user's; generator: synthetichealth/synthea",
    schema=Schema(
        label="an index encounter is followed by an outcome within horizon_days of its end",
        hospital="encounters.csv, ORGANIZATION",
        missing="an empty cell",
    ),
    params=SyntheaCsvParams,
    read=read,
    cohort=cohort,
)
