"""The figure of a run's last model: is it calibrated, is it of use, and for whom.

Reads nothing but the run's rows. Panels: AUROC of each hospital and subgroup with intervals, the
reliability diagram, and the decision curve (Vickers and Elkin, Med Decis Making 2006).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from simulation.learning.assess import DECISION, RELIABILITY
from simulation.learning.metrics import MEAN, POOLED

STEM = "assessment"
"""Name of the files in the run directory."""
SHOWN = 24
"""Hospitals that are shown one by one; of more, the best and the worst."""

Row = Mapping[str, Any]
Values = dict[str, dict[str, float]]
"""Of the last model: by scope, its metrics."""


def last_values(rows: Sequence[Row]) -> Values:
    """What was measured of the last model."""
    last = max((row["round"] for row in rows if row["scope"] == RELIABILITY), default=None)
    found: Values = {}
    for row in rows:
        if row["round"] == last:
            found.setdefault(row["scope"], {})[row["metric"]] = row["value"]
    return found


def assessment_figure(values: Values, title: str, rest: str) -> Figure:
    """The figure as an object; a function of the values alone."""
    scopes = _scopes(values)
    height = max(2.9, 1.35 + 0.145 * len(scopes))
    figure = Figure(figsize=(style.PAGE_IN, height))
    grid = figure.add_gridspec(
        2, 3, width_ratios=(1.1, 1, 1), height_ratios=(4, 1), left=0.125, right=0.985,
        bottom=0.74 / height, top=1 - 0.62 / height, wspace=0.3, hspace=0.12,
    )  # fmt: skip
    style.heading(figure, title, rest)
    _draw_scopes(values, scopes, figure.add_subplot(grid[:, 0]))
    diagram = figure.add_subplot(grid[0, 1])
    _draw_reliability(values, diagram, figure.add_subplot(grid[1, 1], sharex=diagram))
    _draw_decision(values[DECISION], figure.add_subplot(grid[:, 2]))
    style.caption(
        figure,
        "The last model on the hospitals' test rows. Bars: 95 % bootstrap intervals "
        "over rows drawn again within hospitals. ECE: expected calibration",
        "error over ten bins of equal width. Net benefit: true positives minus false positives "
        "weighed by the odds of the threshold, per patient.",
    )
    return figure


def _scopes(values: Values) -> list[str]:
    """What is shown of AUROC: all, mean, hospitals, subgroups; from top to bottom."""
    hospitals = [s for s in values if s.startswith("hospital-") and "auroc" in values[s]]
    if len(hospitals) > SHOWN:
        ranked = sorted(hospitals, key=lambda scope: (-values[scope]["auroc"], scope))
        hospitals = [ranked[0], ranked[-1]]
    groups = sorted(scope for scope in values if "=" in scope and "auroc" in values[scope])
    first = [scope for scope in (POOLED, MEAN) if "auroc" in values[scope]]
    return [*first, *hospitals, *groups]


def _draw_scopes(values: Values, scopes: Sequence[str], axes: Axes) -> None:
    for height, scope in enumerate(scopes):
        found = values[scope]
        ends = [found.get("auroc_low"), found.get("auroc_high")]
        colour = style.BLUE if scope in (POOLED, MEAN) else style.INK
        if None not in ends:
            axes.plot(ends, [height, height], color=colour, linewidth=1.0)
        axes.plot(found["auroc"], height, marker="o", markersize=3.2, color=colour)
    named = {POOLED: "all rows", MEAN: "mean of hospitals"}
    axes.set_yticks(range(len(scopes)), [named.get(s, s.replace("=", ": ")) for s in scopes])
    axes.tick_params(axis="y", labelsize=6.5)
    axes.set_ylim(len(scopes) - 0.4, -0.6)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("AUROC")
    axes.set_title("Discrimination, for whom")


def _draw_reliability(values: Values, axes: Axes, counts: Axes) -> None:
    points = _points(values[RELIABILITY], ("predicted", "observed", "rows"))
    axes.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot([p[0] for p in points], [p[1] for p in points], color=style.BLUE, marker="o")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.03)
    axes.set_ylabel("observed share")
    axes.tick_params(labelbottom=False)
    pooled = values[POOLED]
    axes.set_title(f"Calibration (ECE {pooled['ece']:.3f})")
    counts.bar([p[0] for p in points], [p[2] for p in points], width=0.05, color=style.FAINT)
    counts.set_ylabel("rows")
    counts.set_xlabel("predicted probability")


def _draw_decision(found: Mapping[str, float], axes: Axes) -> None:
    """Where the curve of the model is above both others, using it does more good than harm."""
    curves = {
        what: [(float(name.split("@")[1]), v) for name, v in found.items() if name.startswith(what)]
        for what in ("model", "all")
    }
    looks = {"model": (style.BLUE, "-"), "all": (style.ORANGE, (0, (4, 2)))}
    labels = {"model": "by the model", "all": "treat all"}
    for what, points in curves.items():
        colour, line = looks[what]
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=line, label=labels[what])
    axes.axhline(0, color=style.MUTED, linewidth=0.8, label="treat none")
    top = max(value for points in curves.values() for _, value in points)
    axes.set_ylim(-0.25 * max(top, 0.04), 1.1 * max(top, 0.04))
    axes.set_xlim(0, 1)
    axes.set_xlabel("threshold risk")
    axes.set_title("Net benefit per patient")
    axes.legend(loc="best")


def _points(found: Mapping[str, float], names: Sequence[str]) -> list[tuple[float, ...]]:
    """One point for each bin, in order."""
    bins = sorted({int(name.split("@")[1]) for name in found})
    return [tuple(found[f"{name}@{number}"] for name in names) for number in bins]
