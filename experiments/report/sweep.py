"""What the reports of a sweep and of the whole suite show."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.report.page import Block, Command, Facts, Grid, Page, Picture, Section, Text
from experiments.statistics import estimate
from experiments.stem import config_of
from experiments.suite import Outcome
from experiments.tables import read_table
from simulation.config.sweep import Size
from simulation.runs.provenance import host, revision, versions

FIXED = ("seed", "status", "config", "trace", "error")
"""Columns of a sweep's table that are neither axes nor metrics."""
SHOWN = 40
"""Rows of a stem's table that are shown; the rest is in its CSV."""


def sweep_page(folder: Path) -> Page:
    """The report of a sweep, from the table that `wardchain sweep` has left in its folder.

    Raises:
        OSError: when the folder holds no such table.
    """
    tables = sorted(folder.glob("sweep-*.csv"))
    if not tables:
        raise FileNotFoundError(f"{folder}: holds no sweep-*.csv")
    sections: list[Section] = []
    for path in tables:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        size = path.stem.removeprefix("sweep-")
        sections += [_points(size, rows), _runs(size, rows, folder)]
    return Page(f"Sweep {folder.name}", "Every point and seed, with what became of it", sections)


def _points(size: str, rows: Sequence[Mapping[str, str]]) -> Section:
    """Means over the seeds of each point, for every metric that all of its runs have."""
    columns = list(rows[0])
    axes = columns[: columns.index("seed")]
    metrics = [name for name in columns if name not in (*axes, *FIXED)]
    points: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        points.setdefault(tuple(row[name] for name in axes), []).append(row)
    cells: list[list[Any]] = []
    for place, members in points.items():
        done = [row for row in members if row["status"] == "done"]
        line: list[Any] = [*place, len(done)]
        for metric in metrics:
            values = [float(row[metric]) for row in done if row[metric]]
            line.append(_interval(values, metric, *place) if values else None)
        cells.append(line)
    counts = {status: sum(row["status"] == status for row in rows)
              for status in ("done", "failed", "pending")}  # fmt: skip
    text = Text("Means over seeds with 95 % bootstrap intervals of the mean.")
    grid = Grid((*axes, "seeds done", *metrics), cells)
    return Section(f"Points ({size})", [Facts(counts), text, grid])


def _interval(values: Sequence[float], *name: str) -> str:
    found = estimate(values, *name)
    if found.low == found.high:
        return f"{found.mean:.4g}"
    return f"{found.mean:.4g} [{found.low:.4g}, {found.high:.4g}]"


def _runs(size: str, rows: Sequence[Mapping[str, str]], folder: Path) -> Section:
    columns = list(rows[0])
    axes = columns[: columns.index("seed")]
    names = [name for name in (*axes, *FIXED) if name in columns]
    blocks: list[Block] = [Grid(names, [[row[name] for name in names] for row in rows])]
    for row in rows:
        if row["status"] == "failed":
            config = folder / row["config"] / f"seed-{row['seed']}" / "config.yaml"
            blocks.append(Command(f"wardchain run {config} --seed {row['seed']}"))
    return Section(f"Runs ({size})", blocks)


def suite_page(outcomes: Sequence[Outcome], size: Size) -> Page:
    """The report of the suite: what holds, then every stem with claim, verdict, figure, numbers."""
    rows = [(o.stem, o.claim, _status(o), _sentence(o)) for o in outcomes]
    sections = [Section("What holds", [Grid(("stem", "claim", "verdict", "because"), rows)])]
    sections += [_stem(outcome, size) for outcome in outcomes]
    git = revision() or {"revision": "outside a clone", "dirty": False}
    facts = {"revision": git["revision"] + (" (changed since)" if git["dirty"] else ""), **host()}
    grid = Grid(("library", "version"), list(versions().items()))
    sections.append(Section("Provenance", [Facts(facts), grid]))
    lead = {
        Size.SMOKE: "Smoke size: shows that everything runs; its numbers decide nothing.",
        Size.QUICK: "Quick size: what the committed references are made with.",
        Size.FULL: "Full size: the grid of a paper.",
    }[size]
    return Page("Wardchain: the experiments", lead, sections)


def _status(outcome: Outcome) -> str:
    if outcome.skipped is not None:
        return "skipped"
    if outcome.verdict is None:
        return "failed"
    return "holds" if outcome.verdict.holds else "does not hold"


def _sentence(outcome: Outcome) -> str:
    if outcome.verdict is not None:
        return outcome.verdict.because
    return outcome.skipped or outcome.failed or ""


def _stem(outcome: Outcome, size: Size) -> Section:
    blocks: list[Block] = [Text(outcome.claim), Text(_sentence(outcome))]
    if outcome.figure is not None:
        blocks.append(Picture(outcome.figure.read_bytes(), outcome.claim))
    if outcome.differences:
        blocks.append(Text(f"Not as in the reference: {len(outcome.differences)} places."))
        blocks += [Text(difference) for difference in outcome.differences[:SHOWN]]
    flag = "" if size is Size.QUICK else f" --{size.value}"
    blocks.append(Command(f"python -m experiments {outcome.stem}{flag}"))
    config = config_of(outcome.stem)
    if config is not None:
        blocks.append(Command(f"wardchain check configs/{config.name}"))
    if outcome.figure is not None:
        table = read_table(outcome.figure.with_suffix(".csv"))
        more = f"The first {SHOWN} of {len(table)} rows; all are in {outcome.stem}.csv."
        blocks += [Text(more)] if len(table) > SHOWN else []
        blocks.append(Grid(list(table[0]), [list(row.values()) for row in table[:SHOWN]]))
    return Section(outcome.stem, blocks, _status(outcome))
