"""``wardchain data describe``: a source, or a configuration's records, as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulation.cli.exits import DONE, emit
from simulation.cli.figures import data_drawer

if TYPE_CHECKING:
    from simulation.base.rng import Streams
    from simulation.records.describe import Description, HospitalLine
    from simulation.records.params import DataParams, PartitionParams
    from simulation.records.schema import Schema

_SHOWN = 40


def describe_data(
    what: str,
    path: str | None,
    hospitals: int | None,
    seed: int | None,
    figures: Path | None = None,
    *,
    json: bool,
) -> int:
    """Describe a source by its kind, or the records of a configuration file.

    Raises:
        DataError: when there is no such source or its records cannot be read.
        ConfigError: when the configuration is wrong.
    """
    from simulation.records.describe import describe

    choice = chosen(what, path, hospitals, seed)
    found = describe(choice.data, choice.partition, choice.hospitals, choice.streams)
    drawn = [] if figures is None else data_drawer()(asdict(found), figures)
    if json:
        emit(asdict(found))
    else:
        _show(found)
        for file in drawn:
            print(file)
    return DONE


@dataclass(frozen=True)
class Chosen:
    """The records that a command is about."""

    data: DataParams
    partition: PartitionParams | None
    hospitals: int | None
    streams: Streams


def chosen(what: str, path: str | None, hospitals: int | None, seed: int | None) -> Chosen:
    """A source by its kind, or the records of a configuration file.

    Raises:
        DataError: when there is no such source, or it cannot be named by its kind alone.
        ConfigError: when the configuration is wrong.
    """
    from simulation.base.rng import Streams
    from simulation.records.errors import DataError

    partition = None
    if what.endswith((".yaml", ".yml")):
        from simulation.config.load import load

        experiment = load(Path(what))
        if experiment.data is None:
            raise DataError(f"data: {what} names no source: its workload trains nothing")
        data, partition = experiment.data, experiment.partition
        hospitals = experiment.hospitals if hospitals is None else hospitals
        seed = experiment.seeds[0] if seed is None else seed
    else:
        data = _params(what, path)
    return Chosen(data, partition, hospitals, Streams(42 if seed is None else seed))


def _params(kind: str, path: str | None) -> Any:
    from simulation.records.errors import DataError
    from simulation.records.registry import source_of

    source = source_of(kind)
    given = {} if path is None else {"path": path}
    try:
        return source.params(**given)
    except TypeError as error:
        own = "path" in getattr(source.params, "__slots__", ())
        remedy = "name its path with --path, or " if own and path is None else ""
        raise DataError(
            f"data: {kind} cannot be described by its name alone ({error}); {remedy}"
            "describe a configuration file that says what is needed"
        ) from error


def _show(found: Description) -> None:
    print(f"{found.kind}: {found.title}")
    for table, rows in found.records.items():
        print(f"    {table}: {rows}")
    _show_schema(found.schema)
    if found.from_day is not None:
        print(f"    predictions from {found.from_day} to {found.until_day}")
    print(f"    columns before encoding: {found.inputs}")
    if found.ceiling_auroc is not None:
        print(f"    best attainable AUROC (the labels' own probability): {found.ceiling_auroc:.3f}")
    timed, shared = found.from_day is not None, found.everybody.shared > 0
    heads = ["hospital", "rows", "patients", "label 1", "missing"]
    heads += ["1st half", "2nd half"] if timed else []
    heads += ["shared"] if shared else []
    lines = [_cells(line, timed=timed, shared=shared) for line in found.hospitals[:_SHOWN]]
    lines.append(_cells(found.everybody, timed=timed, shared=shared))
    widths = [max(len(row[i]) for row in (heads, *lines)) for i in range(len(heads))]
    for row in (heads, *lines):
        first = row[0].ljust(widths[0])
        print("  ".join([first, *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]))
    if len(found.hospitals) > _SHOWN:
        print(f"({len(found.hospitals)} hospitals, of which {_SHOWN} are shown; --json has all)")
    for note in found.notes:
        print(f"note: {note}")


def _show_schema(schema: Schema) -> None:
    print(f"    label 1: {schema.label}")
    print(f"    hospital: {schema.hospital}")
    print(f"    missing: {schema.missing}")
    if not schema.fields:
        return
    rows = [("column", "unit (UCUM)", "kept as", "what it says")]
    rows += [(f.name, f.unit, f.place, f.meaning) for f in schema.fields]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
        print("      " + "  ".join([*cells, row[3]]))


def _cells(line: HospitalLine, *, timed: bool, shared: bool) -> list[str]:
    cells = [line.name, str(line.rows), str(line.patients)]
    cells += [f"{line.positive:.1%}", f"{line.missing:.1%}"]
    if timed:
        cells += ["-" if part is None else f"{part:.1%}" for part in (line.early, line.late)]
    return [*cells, str(line.shared)] if shared else cells
