"""One look for all figures, and files that are equal, byte for byte, when the figure is.

Figures are drawn without pyplot: no global state, no window, no backend to choose. Sizes are those
of a two-column paper, so a figure is readable where it is printed and not only on a screen.

Colours are those of Okabe and Ito ("Color universal design", 2008), which people with any of the
common colour vision deficiencies tell apart; no figure relies on colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

COLUMN_IN = 3.5
"""Width of one column, in inches."""
PAGE_IN = 7.16
"""Width of two columns, in inches."""

INK = "#1a1a1a"
MUTED = "#6b6b6b"
FAINT = "#c8c8c8"
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILION = "#D55E00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
YELLOW = "#F0E442"

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine has it
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 7,
    "hatch.linewidth": 0.5,
    "hatch.color": "white",
    "figure.dpi": 100,
    "savefig.dpi": 220,
    "figure.facecolor": "white",
    "svg.fonttype": "path",  # outlines look the same without the font
    "svg.hashsalt": "wardchain",  # otherwise identifiers inside the file are random
    "pdf.fonttype": 42,
    "path.simplify": False,
}

# What each format would otherwise say about the moment and the program that wrote it.
_METADATA: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
# What a figure was made from, by the name that each format has for it.
_SOURCE = {"svg": "Source", "pdf": "Subject", "png": "Source"}


@contextmanager
def figure_style() -> Iterator[None]:
    """Everything drawn and saved inside looks like the rest of the project's figures.

    Settings of the user's own matplotlib are left out, so that they cannot change a figure.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def save(
    figure: Figure,
    folder: Path,
    stem: str,
    formats: Sequence[str] = ("svg", "png", "pdf"),
    source: str | None = None,
) -> list[Path]:
    """Write a figure as ``<folder>/<stem>.<format>``; the same figure gives the same bytes.

    ``source`` says what it was made from; every format keeps it in its metadata, beside the title.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}.{kind}" for kind in formats]
    with figure_style():
        for path in paths:
            kind = path.suffix[1:]
            about = {} if source is None else {"Title": stem, _SOURCE[kind]: source}
            figure.savefig(path, metadata=_METADATA[kind] | about)
    return paths


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Positions moved apart until neighbours differ by ``gap``, each as little as it takes.

    The order is kept. Used for labels beside lines and bars that end close to one another.
    """
    # Groups of labels that touch are centred on the mean of where their members want to be.
    groups: list[list[int]] = [
        [i] for i in sorted(range(len(positions)), key=positions.__getitem__)
    ]

    def centre(group: list[int]) -> float:
        return sum(positions[i] for i in group) / len(group)

    def half(group: list[int]) -> float:
        return gap * len(group) / 2

    at = 0
    while at + 1 < len(groups):
        one, other = groups[at], groups[at + 1]
        if centre(other) - half(other) < centre(one) + half(one) - 1e-12:
            groups[at : at + 2] = [one + other]
            at = max(0, at - 1)
        else:
            at += 1
    moved = [0.0] * len(positions)
    for group in groups:
        for place, i in enumerate(group):
            moved[i] = centre(group) + gap * (place - (len(group) - 1) / 2)
    return moved


def label_ends(
    axes: Axes,
    labels: Sequence[tuple[float, str, str]],
    x: float = 1.02,
    gap_points: float = 9.5,
    size: float = 7,
) -> None:
    """Text right of the axes at the heights where lines or bars end, pushed apart when too close.

    Args:
        axes: Axes with their final limits and size.
        labels: Height in data units, text, colour.
        x: Left edge of the texts as a share of the axes' width.
        gap_points: Smallest distance between two texts.
        size: Size of the text in points.
    """
    low, high = axes.get_ylim()
    height_points = axes.get_position().height * axes.figure.get_size_inches()[1] * 72
    gap = gap_points / height_points * (high - low)
    heights = spread([height for height, _, _ in labels], gap)
    for height, (_, text, colour) in zip(heights, labels, strict=True):
        axes.annotate(
            text,
            (x, height),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            ha="left",
            color=colour,
            fontsize=size,
            annotation_clip=False,
        )


def plain_log(axis: Axis) -> None:
    """A logarithmic axis whose ticks are written as plain numbers: 1, 2 and 5 of each decade."""
    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(NullLocator())


def arms(rows: Sequence[Mapping[str, Any]], y: str, scale: float = 1) -> list[list[float]]:
    """How far ``y_low`` and ``y_high`` are below and above ``y``, as error bars want it."""
    below = [scale * max(0.0, row[y] - row[f"{y}_low"]) for row in rows]
    above = [scale * max(0.0, row[f"{y}_high"] - row[y]) for row in rows]
    return [below, above]


def interval_line(
    axes: Axes, rows: Sequence[Mapping[str, Any]], x: str, y: str, scale: float = 1, **look: Any
) -> None:
    """A line through means, with bars from ``y_low`` to ``y_high`` (see `statistics.spread`)."""
    at, mean = [row[x] for row in rows], [scale * row[y] for row in rows]
    bars = {"elinewidth": 0.8, "capsize": 1.8, "capthick": 0.8}
    axes.errorbar(at, mean, yerr=arms(rows, y, scale), **bars, **look)


def heading(figure: Figure, title: str, rest: str) -> None:
    """A figure's title, and in a second line what it is about in full."""
    height_points = figure.get_figheight() * 72
    places = {"va": "top", "ha": "left", "color": INK}
    figure.text(0.008, 1 - 4 / height_points, title, fontsize=9, fontweight="bold", **places)
    figure.text(0.008, 1 - 17 / height_points, rest, fontsize=7.5, **places)


def table_axes(figure: Figure, top: float, bottom: float, above_in: float, below_in: float) -> Axes:
    """Axes for a table that is drawn as text: columns from 0 to 1, rows from top to bottom.

    ``above_in`` inches are left for the heading, and ``below_in`` for the caption.
    """
    height_in = figure.get_figheight()
    place = (0.012, below_in / height_in, 0.976, 1 - (below_in + above_in) / height_in)
    axes = figure.add_axes(place)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom, top)
    axes.axis("off")
    return axes


def caption(figure: Figure, *lines: str) -> None:
    """A figure's caption, below it, inside the file: n, what varies, the method."""
    places = {"va": "bottom", "ha": "left", "color": MUTED}
    bottom = 4 / (figure.get_figheight() * 72)
    figure.text(0.008, bottom, "\n".join(lines), fontsize=6.5, linespacing=1.35, **places)


def time_unit(longest_us: float) -> tuple[float, str]:
    """Microseconds per unit, and the unit, in which a span of virtual time reads best."""
    for unit_us, name in ((3.6e9, "h"), (6e7, "min"), (1e6, "s"), (1e3, "ms")):
        if longest_us >= 2 * unit_us:
            return unit_us, name
    return 1.0, "µs"
