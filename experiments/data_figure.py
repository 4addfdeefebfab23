"""The figure of a source: how large its hospitals are, and how they differ, before any training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style

STEM = "data"
SHOWN = 40
"""Hospitals that are drawn; of more, the largest."""

Line = Mapping[str, Any]


def draw_data(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the figure of a description (`simulation.records.describe`, as JSON data)."""
    with style.figure_style():
        figure = data_figure(found)
    return style.save(figure, folder, STEM)


def data_figure(found: Mapping[str, Any]) -> Figure:
    """Rows, label rate, missing cells and drift of each hospital, largest first."""
    lines = sorted(found["hospitals"], key=lambda line: (-line["rows"], line["name"]))[:SHOWN]
    timed = found["from_day"] is not None
    height = 1.5 + 0.13 * max(len(lines), 4)
    figure = Figure(figsize=(style.PAGE_IN, height))
    grid = figure.subplots(
        1, 4 if timed else 3, sharey=True,
        gridspec_kw={"left": 0.16, "right": 0.98, "bottom": 0.72 / height,
                     "top": 1 - 0.72 / height, "wspace": 0.14},
    )  # fmt: skip
    hospitals = len(found["hospitals"])
    shown = (
        f"{hospitals} hospitals" if hospitals <= SHOWN else f"the {SHOWN} largest of {hospitals}"
    )
    style.heading(figure, str(found["kind"]), f"{found['title']}; {shown}")
    places = np.arange(len(lines))
    grid[0].barh(places, [line["rows"] for line in lines], color=style.BLUE, height=0.6)
    grid[0].set_xlabel("rows")
    _dots(grid[1], lines, "positive", found["everybody"]["positive"], "label 1 (%)")
    _dots(grid[2], lines, "missing", found["everybody"]["missing"], "missing cells (%)")
    if timed:
        _drift(grid[3], lines)
    grid[0].set_yticks(places, [line["name"] for line in lines], fontsize=6)
    grid[0].set_ylim(len(lines) - 0.4, -0.6)
    told = "Dotted: all hospitals together."
    if timed:
        told += f" Drift: from the first half ({found['from_day']} on) to the second, whose end is"
        told += f" the dot (until {found['until_day']})."
    style.caption(figure, told)
    return figure


def _dots(axes: Axes, lines: Sequence[Line], what: str, everybody: float, label: str) -> None:
    axes.axvline(100 * everybody, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.plot(
        [100 * line[what] for line in lines], range(len(lines)), "o", color=style.VERMILION,
        markersize=3,
    )  # fmt: skip
    axes.set_xlabel(label)


def _drift(axes: Axes, lines: Sequence[Line]) -> None:
    for place, line in enumerate(lines):
        if line["early"] is not None and line["late"] is not None:
            ends = [100 * line["early"], 100 * line["late"]]
            axes.plot(ends, [place, place], color=style.MUTED, linewidth=1)
            axes.plot(ends[1], place, "o", color=style.VERMILION, markersize=3)
    axes.set_xlabel("label 1, over time (%)")
