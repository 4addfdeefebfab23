"""``wardchain trace``: the events of a run, filtered."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from simulation.base.units import format_us
from simulation.cli.exits import DONE, emit
from simulation.cli.options import Json, Run

_PLACES = ("hospital", "node", "replica", "by")


def trace(
    run: Run,
    event: Annotated[
        list[str] | None, typer.Option(help="Only events of this name. Repeatable.")
    ] = None,
    round_: Annotated[
        int | None, typer.Option("--round", help="Only events of this round.")
    ] = None,
    node: Annotated[
        int | None, typer.Option(help="Only events at this node (hospitals count from 0).")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many events.", min=1)] = None,
    json: Json = False,
) -> int:
    """Print the events of a run, in the order in which they happened."""
    from simulation.runs.directory import finished

    rows = islice(_events(finished(run), event or [], round_, node), limit)
    if json:
        emit({"run": str(run), "events": list(rows)})
        return DONE
    for row in rows:
        print(_line(row))
    return DONE


def _events(
    run: Path, names: list[str], round_: int | None, node: int | None
) -> Iterator[dict[str, Any]]:
    from simulation.runs.artifacts import read_trace

    _require_known(names)
    for row in read_trace(run):
        if names and row["event"] not in names:
            continue
        if round_ is not None and row.get("round") != round_:
            continue
        if node is not None and node not in [row.get(place) for place in _PLACES]:
            continue
        yield row


def _require_known(names: list[str]) -> None:
    from simulation.config.errors import ConfigError, nearest
    from simulation.trace.events import Event

    known = sorted(kind.event for kind in Event.__subclasses__())
    for name in names:
        if name not in known:
            raise ConfigError(f"--event {name}: no such event; {nearest(name, known)}")


def _line(row: dict[str, Any]) -> str:
    rest = " ".join(f"{k}={v}" for k, v in row.items() if k not in ("event", "t_us"))
    return f"{row['t_us']:>14} µs  {format_us(row['t_us']):>12}  {row['event']:<22} {rest}"
