"""``wardchain data export``: one hospital's records as FHIR R4, and what survives the way back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.cli.data_describe import chosen
from simulation.cli.exits import DONE, emit

if TYPE_CHECKING:
    from simulation.records.fhir_loss import Survival


def export_data(
    what: str,
    out: Path,
    hospital: int,
    path: str | None,
    hospitals: int | None,
    seed: int | None,
    *,
    json: bool,
) -> int:
    """Write, read again, and compare field by field.

    Raises:
        DataError: when there is no such hospital, or the folder cannot be made.
        ConfigError: when the configuration is wrong.
    """
    from simulation.records.fhir_export import export
    from simulation.records.fhir_loss import survivals
    from simulation.records.longitudinal_params import FhirParams
    from simulation.records.one_hospital import records_of
    from simulation.records.registry import source_of
    from simulation.records.sources.fhir import cohort

    choice = chosen(what, path, hospitals, seed)
    whole = source_of(choice.data.kind).tables(choice.data, choice.hospitals, choice.streams)
    before = records_of(whole, hospital)
    counts = export(before, out)
    found = survivals(before, cohort(FhirParams(path=str(out))))
    name = before.hospitals[0]
    if json:
        rows = [asdict(line) for line in found]
        emit({"hospital": name, "folder": str(out), "resources": counts, "survival": rows})
        return DONE
    print(f"{name}: {out}")
    for kind, count in counts.items():
        print(f"    {kind}.ndjson: {count} resources, valid FHIR R4")
    print("Written and read again, this survives:")
    _show(found)
    return DONE


def _show(found: list[Survival]) -> None:
    lines = [(s.resource, s.field, f"{s.kept} of {s.rows}", s.why) for s in found if s.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    for resource, field, kept, why in lines:
        cells = resource.ljust(widths[0]), field.ljust(widths[1]), kept.rjust(widths[2])
        print("  ".join([*cells, why]).rstrip())
