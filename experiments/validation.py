"""The simulation beside closed forms and beside what others have measured (table T5).

The rows are those of ``wardchain validate``: simulated, calculated, published, with the tolerance
that each has to keep. Sources are named in `simulation.nodes.validate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from experiments import style
from experiments.stem import Table, Verdict
from simulation.config.sweep import Size

if TYPE_CHECKING:
    from simulation.nodes.validate import Row

CLAIM = (
    "Message counts, quorum latency, throughput bounds, queueing and view changes are those of the "
    "closed forms within 3 %, and of published measurements within the tolerances of each row"
)
KEYS = ("quantity",)
CLOSE = 0.03


def compute(size: Size) -> Table:
    """All rows of ``wardchain validate``; in the smoke size those that take a moment."""
    return [
        {
            "quantity": row.name,
            "unit": row.unit or "messages",
            "simulated": float(row.simulated),
            "closed_form": float(row.closed_form),
            "difference": float(row.difference),
            "published": "" if row.published is None else float(row.published),
            "published_difference": (
                "" if row.published_difference is None else float(row.published_difference)
            ),
            "holds": "yes" if row.holds else "no",
        }
        for row in _rows(size)
    ]


def _rows(size: Size) -> Iterator[Row]:
    from simulation.nodes import validate

    if size is Size.SMOKE:
        return validate.view_change_rows(timeouts_s=(0.25, 1.0), most_silent=2)
    return validate.validate()


def verdict(table: Table) -> Verdict:
    """Every row holds, and none is further than 3 % from its closed form."""
    held = [row for row in table if row["holds"] == "yes"]
    worst = max(table, key=lambda row: abs(row["difference"]))
    published = [row for row in table if row["published_difference"] != ""]
    far = max((abs(row["published_difference"]) for row in published), default=0.0)
    return Verdict(
        len(held) == len(table) and abs(worst["difference"]) <= CLOSE,
        f"{len(held)} of {len(table)} rows hold; the furthest from its closed form is "
        f"{worst['quantity']} with {worst['difference']:+.2%}; of {len(published)} published "
        f"numbers the furthest is {far:.1%} away",
    )


def figure(table: Table) -> Figure:
    """Relative differences, a line for each quantity."""
    drawing = Figure(figsize=(style.PAGE_IN, 0.9 + 0.145 * max(12, len(table))))
    height = drawing.get_figheight()
    axes = drawing.subplots(
        gridspec_kw={"left": 0.36, "right": 0.97, "bottom": 0.72 / height, "top": 1 - 0.42 / height}
    )
    style.heading(
        drawing,
        "The simulation beside closed forms and measurements",
        "Relative difference of the simulated number from each",
    )
    places = range(len(table), 0, -1)
    closed = [100 * row["difference"] for row in table]
    axes.axvline(0, color=style.INK, linewidth=0.6)
    axes.scatter(closed, places, s=12, color=style.BLUE, marker="o", label="closed form", zorder=3)
    beside = [
        (100 * row["published_difference"], place)
        for row, place in zip(table, places, strict=True)
        if row["published_difference"] != ""
    ]
    axes.scatter(
        [x for x, _ in beside], [y for _, y in beside], s=16, facecolor="white",
        edgecolor=style.VERMILION, marker="D", label="published measurement", zorder=4,
    )  # fmt: skip
    axes.set_yticks(places, [row["quantity"] for row in table], fontsize=6.5)
    axes.set_ylim(0.3, len(table) + 0.7)
    reach = 1.15 * max(1.0, *(abs(x) for x in closed), *(abs(x) for x, _ in beside))
    axes.set_xlim(-reach, reach)
    axes.set_xlabel("difference (%)")
    axes.grid(axis="x")
    axes.legend(loc="lower right", ncols=1)
    style.caption(
        drawing,
        f"{len(table)} quantities, one simulation each (a closed form has no spread). Published: "
        "BFT-SMaRt on four cloud regions and Themis-PBFT on a bandwidth-bound",
        "network, from the data files of Delphi-BFT (Berger et al., arXiv 2208.14745). Tolerances "
        "are those of wardchain validate.",
    )
    return drawing
