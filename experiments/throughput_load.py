"""Committed against offered load: where PBFT saturates, and what batches change.

At most ``pipeline`` batches are under way at once, so no more than pipeline × batch / (time from
proposal to decision) requests per second can be decided: that is the thin line. The client is at
the primary, so that the time is the latency at the lowest load, less the wait for a full batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "Between hospitals of one country a PBFT that orders single requests saturates below 500 per "
    "second, whatever is offered; batches of 16 lift the ceiling out of reach of 2,000 per second"
)
KEYS = ("hospitals", "batch", "offered_per_s")
LOOKS = {
    (4, 1): (style.VERMILION, "o"),
    (4, 4): (style.ORANGE, "s"),
    (4, 16): (style.BLUE, "^"),
    (10, 1): (style.PURPLE, "D"),
}
CARRIED = 0.95
"""Share of the offered load from which on it counts as carried."""


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds with their intervals, by hospitals, batch and offered load."""
    rows: Table = []
    for labels, members in by_point(runs):
        n, batch, rate = (labels[name] for name in AXES)
        latency = [run.last("workload", "latency_p50_us") / 1000 for run in members]
        done = [run.last("workload", "throughput_per_s") for run in members]
        rows.append(
            {
                "hospitals": n,
                "batch": batch,
                "offered_per_s": rate,
                "seeds": len(members),
                **spread("throughput_per_s", done, n, batch, rate),
                **spread("latency_ms", latency, n, batch, rate),
            }
        )
    return [row | {"ceiling_per_s": _ceiling(row, rows)} for row in rows]


AXES = ("hospitals", "consensus.batch_max_requests", "workload.rate_per_s")
PIPELINE, AGE_MS = 16, 2.0


def _ceiling(row: dict[str, Any], rows: Table) -> float:
    """Requests per second that fit through the pipeline, from the latency at the lowest load."""
    same = [r for r in rows if r["hospitals"] == row["hospitals"] and r["batch"] == row["batch"]]
    idle: Any = min(same, key=lambda r: r["offered_per_s"])
    waits_ms = AGE_MS if row["batch"] > 1 else 0.0
    return PIPELINE * row["batch"] * 1000 / (idle["latency_ms"] - waits_ms)


def verdict(table: Table) -> Verdict:
    """Singles stay below 500 per second at the highest load; batches of 16 carry it."""
    n = table[0]["hospitals"]
    single, batched = (
        max(
            (row for row in table if (row["hospitals"], row["batch"]) == (n, batch)),
            key=lambda row: row["offered_per_s"],
        )
        for batch in (1, 16)
    )
    offered = single["offered_per_s"]
    carried = batched["throughput_per_s"] / offered
    return Verdict(
        single["throughput_per_s"] < 500 and carried >= CARRIED,
        f"at {offered:,} offered requests per second {n} hospitals commit "
        f"{single['throughput_per_s']:.0f} one by one (the pipeline allows "
        f"{single['ceiling_per_s']:.0f}) and {batched['throughput_per_s']:.0f} in batches of 16",
    )


def figure(table: Table) -> Figure:
    """Committed load and latency against offered load."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.75))
    left, right = drawing.subplots(
        1, 2,
        gridspec_kw={"left": 0.075, "right": 0.855, "bottom": 0.29, "top": 0.79, "wspace": 0.22},
    )  # fmt: skip
    style.heading(
        drawing,
        "What PBFT commits of what is asked",
        "Hospitals of one country, at most 16 batches under way, requests of 256 bytes at random",
    )
    ends: list[tuple[float, str, str]] = []
    for (n, batch), (colour, marker) in LOOKS.items():
        rows = [row for row in table if (row["hospitals"], row["batch"]) == (n, batch)]
        if not rows:
            continue
        look = {"color": colour, "marker": marker}
        style.interval_line(left, rows, "offered_per_s", "throughput_per_s", **look)
        style.interval_line(right, rows, "offered_per_s", "latency_ms", **look)
        ends.append((rows[-1]["latency_ms"], f"n = {n}, batch {batch}", colour))
        if batch == 1:
            left.axhline(rows[0]["ceiling_per_s"], color=colour, linewidth=0.6)
    rates = sorted({row["offered_per_s"] for row in table})
    left.plot(rates, rates, color=style.MUTED, linewidth=0.6, linestyle=(0, (1, 2)))
    for axes, title in ((left, "Committed (1/s)"), (right, "Median latency (ms)")):
        axes.set_title(title)
        axes.set_xscale("log")
        axes.set_yscale("log")
        style.plain_log(axes.yaxis)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(rates, [f"{rate:,}" for rate in rates])
        axes.set_xlabel("offered (requests per second)")
    _label(right, ends)
    style.caption(
        drawing,
        f"Points: means over {table[0]['seeds']} seeds, which set arrivals and delays; bars: 95 % "
        "bootstrap intervals of the mean. Dotted: all that is offered. Thin",
        "lines: what fits through the pipeline one by one, 16 / latency at the lowest load. Above "
        "it requests queue, and latency grows with the length of the run.",
    )
    return drawing


def _label(axes: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Direct labels; the axis is logarithmic, so they are placed by its transform."""
    heights = [axes.transAxes.inverted().transform(axes.transData.transform((1, y)))[1]
               for y, _, _ in ends]  # fmt: skip
    for height, (_, text, colour) in zip(style.spread(heights, 0.085), ends, strict=True):
        axes.text(1.03, height, text, color=colour, va="center", transform=axes.transAxes)
