"""``wardchain validate``: the simulation beside closed forms and published measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.cli.exits import DIFFERENCE, DONE, emit, note
from simulation.cli.options import Json

if TYPE_CHECKING:
    from simulation.nodes.validate import Row

COLUMNS = ("quantity", "simulated", "closed form", "differs", "published", "differs", "holds")
WIDTHS = (42, 15, 15, 8, 11, 8, 5)


def validate(json: Json = False) -> int:
    """Compare the simulation with closed forms and published numbers; about a minute.

    Exit code 3 when a difference is larger than its tolerance.
    """
    from simulation.nodes.validate import validate as compare

    rows: list[Row] = []
    if not json:
        print(_aligned(COLUMNS))
    for row in compare():
        rows.append(row)
        if not json:
            print(_aligned(_cells(row)), flush=True)
    wrong = [row for row in rows if not row.holds]
    code = DIFFERENCE if wrong else DONE
    if json:
        emit({"rows": [_data(row) for row in rows], "ok": not wrong, "exit_code": code})
        return code
    print()
    if wrong:
        for row in wrong:
            note(f"does not hold: {row.name}")
    print(f"{len(rows) - len(wrong)} of {len(rows)} hold")
    return code


def _cells(row: Row) -> tuple[str, ...]:
    published, beside = row.published, row.published_difference
    return (
        row.name,
        f"{row.simulated:,.2f} {row.unit}".rstrip(),
        f"{row.closed_form:,.2f} {row.unit}".rstrip(),
        f"{row.difference:+.2%}",
        "-" if published is None else f"{published:,.2f}",
        "-" if beside is None else f"{beside:+.2%}",
        "yes" if row.holds else "NO",
    )


def _aligned(cells: tuple[str, ...]) -> str:
    first = cells[0].ljust(WIDTHS[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], WIDTHS[1:], strict=True)]
    return "  ".join([first, *rest]).rstrip()


def _data(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "unit": row.unit,
        "simulated": row.simulated,
        "closed_form": row.closed_form,
        "difference": row.difference,
        "tolerance": row.tolerance,
        "published": row.published,
        "published_difference": row.published_difference,
        "published_tolerance": row.published_tolerance,
        "holds": row.holds,
    }
