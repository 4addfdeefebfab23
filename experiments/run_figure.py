"""The figures of one run: how the model and its privacy went, and where the time went.

Reads nothing but the run's own directory (``metrics.parquet``, ``config.yaml`` and, once it is
there, the revision in the manifest), so it can be drawn before the run is sealed and again, byte
for byte, at any time after.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from experiments import assessment_figure, style
from simulation.base.ids import hospital_name
from simulation.config.dump import config_hash
from simulation.config.experiment import Experiment
from simulation.config.load import load
from simulation.runs.artifacts import CONFIG, read_manifest, read_metrics
from simulation.runs.provenance import revision, revision_said
from simulation.runs.seal import MANIFEST
from simulation.trace.metrics import EPSILON, MAX, PHASES, ROUND

STEM = "figure"
"""Name of the files in the run directory."""
QUALITIES = {"auroc": "AUROC", "accuracy": "Accuracy", "log_loss": "Log loss"}
"""What is drawn of the model: the first of these that was measured."""
COLOURS = {
    "download": style.SKY,
    "train": style.GREEN,
    "consensus": style.ORANGE,
    "upload": style.PURPLE,
    "wait": style.FAINT,
    "aggregate": style.VERMILION,
}
HATCHES = {"consensus": "//////", "aggregate": "\\\\\\\\\\\\"}
"""The two phases in which consensus works, marked without colour."""

ALL = {"color": style.BLUE, "marker": "o"}
AVERAGE = {"color": style.ORANGE, "marker": "s"}
SPENT = {"color": style.VERMILION, "marker": "o"}
EACH: dict[str, Any] = {"color": style.FAINT, "linewidth": 0.7}

CROWDED = 40
"""Rounds from which on markers and gaps between bars are left out."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Series:
    """One metric of one scope over the run."""

    rounds: Sequence[int]
    values: Sequence[float]
    times_us: Sequence[int]


def draw_run(run_dir: Path) -> list[Path]:
    """Draw a run's figures into its directory, as PNG and SVG; the second one of its last model.

    Raises:
        OSError: when the directory holds no metrics or no configuration.
    """
    rows = read_metrics(run_dir)
    experiment = load(run_dir / CONFIG)
    rest = description(experiment, run_dir)
    values = assessment_figure.last_values(rows)
    with style.figure_style():
        figures = {STEM: run_figure(rows, experiment, rest)}
        if values:
            drawn = assessment_figure.assessment_figure(values, experiment.name, rest)
            figures[assessment_figure.STEM] = drawn
    # A run that is being finished has no manifest yet, and will say that it was made by this code.
    sealed = (run_dir / MANIFEST).is_file()
    git = read_manifest(run_dir)["git"] if sealed else revision()
    source = f"configuration, SHA-256 {config_hash(experiment)}; {revision_said(git)}"
    return [
        path
        for stem, figure in figures.items()
        for path in style.save(figure, run_dir, stem, ("png", "svg"), source)
    ]


def description(experiment: Experiment, run_dir: Path) -> str:
    """What was run, in one line."""
    federation = experiment.federation
    how = {"central": "all records in one place", "local": "each for itself"}
    parts = [f"{experiment.hospitals} hospitals", how.get(federation.kind, federation.strategy)]
    privacy = experiment.privacy
    parts.append("no differential privacy" if privacy.kind == "none" else "DP-SGD")
    if experiment.ledger.kind == "none":
        parts.append("no ledger")
    else:
        kind = experiment.consensus.kind
        name = kind.upper() if kind == "pbft" else kind
        parts.append(f"{name} with {experiment.replicas} replicas")
    parts.append(f"{experiment.network.profile} network")
    # The directory is the only place that knows the seed before the manifest is written.
    seed = re.search(r"seed-(\d+)", run_dir.name)
    if seed:
        parts.append(f"seed {seed[1]}")
    return ", ".join(parts)


def run_figure(rows: Sequence[Row], experiment: Experiment, rest: str) -> Figure:
    """The figure as an object; a function of the rows and the configuration alone."""
    quality = next((name for name in QUALITIES if _of(rows, "pooled", name).rounds), None)
    private = bool(_of(rows, MAX, EPSILON).rounds)
    upper = 1 if quality is None else 1 + private
    figure = Figure(figsize=(style.PAGE_IN, 1.55 * upper + 1.25))
    bottom, top = 0.68 / figure.get_figheight(), 1 - 0.62 / figure.get_figheight()
    grid = figure.add_gridspec(
        upper, 3, width_ratios=(1, 1, 1.15), left=0.065, right=0.88, bottom=bottom, top=top,
        wspace=0.15, hspace=0.13,
    )  # fmt: skip
    style.heading(figure, experiment.name, rest)
    if quality is not None:
        left = [figure.add_subplot(grid[row, 0]) for row in range(upper)]
        right = [figure.add_subplot(grid[row, 1], sharey=left[row]) for row in range(upper)]
        _draw_progress(rows, quality, [left[0], right[0]], experiment.hospitals)
        if private:
            _draw_privacy(rows, [left[1], right[1]], getattr(experiment.privacy, "epsilon", None))
        _finish_axes(rows, left, right)
    _draw_phases(rows, figure.add_subplot(grid[:, 2]))
    style.caption(
        figure,
        "Model: on the hospitals' test rows, outside the modelled world. Phases: means over "
        "hospitals; the ledger transactions that open (consensus) and",
        "close (aggregate) a round count in full. Percentages: share of all rounds' time. "
        "Hatched: consensus at work.",
    )
    return figure


def _of(rows: Sequence[Row], scope: str, metric: str) -> Series:
    found = [row for row in rows if row["scope"] == scope and row["metric"] == metric]
    return Series(
        [row["round"] for row in found],
        [row["value"] for row in found],
        [row["t_us"] for row in found],
    )


def _clock(rows: Sequence[Row]) -> tuple[float, str]:
    return style.time_unit(max(row["t_us"] for row in rows))


# ---- model and privacy --------------------------------------------------------------------------


def _draw_progress(rows: Sequence[Row], quality: str, axes: Sequence[Axes], hospitals: int) -> None:
    """The model's quality, against round on the first axes and virtual time on the second."""
    unit_us, _ = _clock(rows)
    looks = [(hospital_name(h), EACH) for h in range(hospitals)]
    looks += [("mean", AVERAGE), ("pooled", ALL)]
    for on, by_time in zip(axes, (False, True), strict=True):
        for scope, look in looks:
            series = _of(rows, scope, quality)
            on.plot(_x(series, by_time, unit_us), series.values, **_thin(series, look))
    axes[0].set_ylabel(QUALITIES[quality])
    # Above the axes, because lines may be anywhere inside.
    axes[0].legend(
        handles=[Line2D([], [], **look) for look in (ALL, AVERAGE, EACH)],
        labels=["test rows of all hospitals", "mean of hospitals", "each hospital"],
        loc="lower left", bbox_to_anchor=(-0.01, 0.985), ncols=3, borderpad=0, borderaxespad=0.4,
        handlelength=1.8, columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip


def _draw_privacy(rows: Sequence[Row], axes: Sequence[Axes], target: float | None) -> None:
    """ε spent by the hospital that spent most, under the target that σ was chosen for."""
    unit_us, _ = _clock(rows)
    series = _of(rows, MAX, EPSILON)
    for on, by_time in zip(axes, (False, True), strict=True):
        on.plot(_x(series, by_time, unit_us), series.values, **_thin(series, SPENT))
        if target is not None:
            on.axhline(target, color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            where = {"xytext": (1, 2.5), "textcoords": "offset points", "fontsize": 7}
            text = f"target ε = {target:g}"
            on.annotate(text, (0, target), xycoords=("axes fraction", "data"), **where)
    axes[0].set_ylim(0, max([*series.values, target or 0]) * 1.18)
    axes[0].set_ylabel("ε spent, largest of all")


def _finish_axes(rows: Sequence[Row], left: Sequence[Axes], right: Sequence[Axes]) -> None:
    _, unit = _clock(rows)
    for axes in (*left[:-1], *right[:-1]):
        axes.tick_params(labelbottom=False)
    for axes in right:
        axes.tick_params(labelleft=False)
        axes.sharex(right[0])
    for axes in left:
        axes.sharex(left[0])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    left[-1].set_xlabel("round")
    right[-1].set_xlabel(f"virtual time ({unit})")


def _thin(series: Series, look: Mapping[str, Any]) -> dict[str, Any]:
    """The look of a line without its markers where they would touch one another."""
    return {**look, "marker": look.get("marker") if len(series.rounds) <= CROWDED else None}


def _x(series: Series, by_time: bool, unit_us: float) -> Sequence[float]:
    return [t / unit_us for t in series.times_us] if by_time else series.rounds


# ---- where the time went ------------------------------------------------------------------------


def _draw_phases(rows: Sequence[Row], axes: Axes) -> None:
    """One bar per round, as high as the round was long, made of its phases."""
    phases = {name: _of(rows, ROUND, f"{name}_us") for name in PHASES}
    phases = {name: series for name, series in phases.items() if series.rounds}
    lengths = _of(rows, ROUND, "duration_us")
    unit_us, unit = style.time_unit(max(lengths.values, default=0))
    base = dict.fromkeys(lengths.rounds, 0.0)
    ends: list[tuple[float, str, str]] = []
    for name, series in phases.items():
        heights = [value / unit_us for value in series.values]
        axes.bar(
            series.rounds, heights, bottom=[base[r] for r in series.rounds],
            width=0.78 if len(series.rounds) <= CROWDED else 1.0, color=COLOURS[name],
            edgecolor="white", linewidth=0.0, hatch=HATCHES.get(name),
        )  # fmt: skip
        for number, height in zip(series.rounds, heights, strict=True):
            base[number] += height
        last = series.rounds[-1]
        share = sum(series.values) / max(sum(lengths.values), 1)
        ends.append((base[last] - heights[-1] / 2, f"{name} {share:.0%}", style.INK))
    axes.set_title(f"Virtual time of a round ({unit})", fontweight="normal", fontsize=7.5)
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    style.label_ends(axes, ends)
