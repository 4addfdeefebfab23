"""``wardchain soak``: thousands of random fault schedules, and the properties that must hold."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from simulation.cli.exits import DIFFERENCE, DONE, emit, note
from simulation.cli.options import Json

if TYPE_CHECKING:
    from simulation.runs.soak import Group, SeedReport

First = Annotated[int, typer.Option("--first", min=0, help="The first seed.")]
Count = Annotated[int, typer.Option("--count", min=1, help="How many seeds.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0 for one on each processor.")]
Protocol = Annotated[str, typer.Option("--protocol", help="What to soak.")]
BrokenName = Annotated[
    str | None,
    typer.Option(
        "--broken",
        help="Soak the protocol with this rule taken out, until a checker catches it.",
        show_default=False,
    ),
]
Shrink = Annotated[
    bool, typer.Option("--shrink", help="Shrink the first failing schedule and print it.")
]

SHOWN = 10
"""How many failing seeds are printed with their commands."""
TELL_EVERY = 100
"""Seeds between two lines of progress."""
COLUMNS = (
    "n",
    "seeds",
    "faults",
    "messages",
    "view changes",
    "decisions",
    "requests",
    "not executed",
    "violations",
)


def soak(
    first: First = 0,
    count: Count = 300,
    jobs: Jobs = 1,
    protocol: Protocol = "pbft",
    broken: BrokenName = None,
    shrink: Shrink = False,
    json: Json = False,
) -> int:
    """Run random fault schedules; exit code 3 and the failing seeds when a property is violated.

    Each seed draws its own mix of lost, repeated and delayed messages, partitions, crashes and at
    most f lying replicas. Then the network heals, and every request must be executed everywhere.
    """
    from simulation.config.errors import ConfigError
    from simulation.runs.soak import groups, subject_of
    from simulation.runs.soak import soak as run

    try:
        subject_of(protocol, broken)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    reports: list[SeedReport] = []
    failing: list[SeedReport] = []
    for report in run(protocol, broken, range(first, first + count), jobs or os.cpu_count() or 1):
        reports.append(report)
        if report.violation is not None:
            failing.append(report)
            if broken is not None or shrink:
                break
        if len(reports) % TELL_EVERY == 0 and sys.stderr.isatty():
            note(f"{len(reports)} of {count} seeds, {len(failing)} violations")
    table = groups(reports)
    code = DIFFERENCE if failing else DONE
    if json:
        emit(_data(first, protocol, broken, table, failing, code))
        return code
    for line in _table(table):
        print(line)
    _say(protocol, broken, reports, failing, shrink)
    return code


def _say(
    protocol: str,
    broken: str | None,
    reports: list[SeedReport],
    failing: list[SeedReport],
    shrink: bool,
) -> None:
    from simulation.runs.soak import plan_lines, shrunk

    if not failing:
        print(f"\n{len(reports)} seeds, no violation: every request executed, all logs equal")
    for report in failing[:SHOWN]:
        print(f"\nseed {report.seed}, n = {report.n}: {report.violation}")
        print(f"  replay  {_command(protocol, broken, report.seed)}")
        print(f"  shrink  {_command(protocol, broken, report.seed)} --shrink")
    if len(failing) > SHOWN:
        print(f"\nand {len(failing) - SHOWN} more seeds")
    if failing and shrink:
        smallest, lines = shrunk(protocol, broken, failing[0].seed)
        print(f"\nshrunk: {smallest.violation}")
    elif len(reports) == 1:
        lines = plan_lines(protocol, broken, reports[0].seed)
        print("\nschedule:")
    else:
        return
    for line in lines:
        print(f"  {line}")


def _command(protocol: str, broken: str | None, seed: int) -> str:
    variant = "" if broken is None else f" --broken {broken}"
    return f"wardchain soak --protocol {protocol}{variant} --first {seed} --count 1"


def _table(table: list[Group]) -> list[str]:
    rows = [
        (
            str(g.n),
            *(
                f"{x:,}"
                for x in (g.seeds, g.faults, g.messages, g.view_changes, g.decided, g.executed)
            ),
            str(g.unexecuted),
            str(g.violations),
        )
        for g in table
    ]
    widths = [max(len(row[i]) for row in (COLUMNS, *rows)) for i in range(len(COLUMNS))]
    ruled = ["|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"]
    lines = [
        "| " + " | ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in (COLUMNS, *rows)
    ]
    return [lines[0], *ruled, *lines[1:]]


def _data(
    first: int,
    protocol: str,
    broken: str | None,
    table: list[Group],
    failing: list[SeedReport],
    code: int,
) -> dict[str, object]:
    return {
        "protocol": protocol,
        "broken": broken,
        "first": first,
        "seeds": sum(group.seeds for group in table),
        "groups": [group.data() for group in table],
        "violations": [
            {
                "seed": report.seed,
                "n": report.n,
                "property": report.property,
                "violation": report.violation,
                "replay": _command(protocol, broken, report.seed),
            }
            for report in failing
        ],
        "exit_code": code,
    }
