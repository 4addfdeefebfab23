"""The quadratic phases of PBFT: messages, bytes and latency of a block as hospitals join.

One client that waits for each result, so that a block holds one request. The closed form is that
of the normal case (Castro and Liskov, OSDI '99, §4.2): the primary's pre-prepare to all others,
each backup's prepare to all others, everybody's commit to all others.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "From 4 to 64 hospitals a block of PBFT needs the (n−1) + (n−1)² + n(n−1) messages of the "
    "paper, and its latency less than doubles: the quadratic phases cost bytes, not time"
)
KEYS = ("hospitals",)

PHASES = ("pre-prepare", "prepare", "commit")
EXACT = 0.03
"""How near counts as equal: a block that is under way when the clock stops is in part sent."""


def closed_form(n: int) -> int:
    """Messages that order one block among n replicas, when nothing goes wrong."""
    return (n - 1) + (n - 1) ** 2 + n * (n - 1)


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds with their intervals, by number of hospitals."""
    rows: Table = []
    for labels, members in by_point(runs):
        n = labels["hospitals"]
        sent = [_per_block(run, "messages") for run in members]
        size = [_per_block(run, "bytes") / 1000 for run in members]
        latency = [run.last("workload", "latency_p50_us") / 1000 for run in members]
        rows.append(
            {
                "hospitals": n,
                "seeds": len(members),
                "closed_form": closed_form(n),
                **spread("messages", sent, n),
                **spread("kilobytes", size, n),
                **spread("latency_ms", latency, n),
            }
        )
    return rows


def _per_block(run: Run, what: str) -> float:
    """Messages or bytes of the three phases for each block that the primary has proposed."""
    messages = run.manifest["summary"]["messages"]
    proposed = messages["pre-prepare"]["messages"] / (_replicas(run) - 1)
    return sum(messages[phase][what] for phase in PHASES) / proposed


def _replicas(run: Run) -> int:
    return run.manifest["summary"]["workload"]["replicas"]


def verdict(table: Table) -> Verdict:
    """The closed form within 3 %, and the largest n less than twice as slow as the smallest."""
    worst = max(abs(row["messages"] / row["closed_form"] - 1) for row in table)
    first, last = table[0], table[-1]
    slower = last["latency_ms"] / first["latency_ms"]
    more = last["messages"] / first["messages"]
    return Verdict(
        worst <= EXACT and slower < 2,
        f"from {first['hospitals']} to {last['hospitals']} hospitals messages per block grow "
        f"{more:.0f}-fold and differ from the closed form by at most {worst:.1%}; median latency "
        f"grows {slower:.2f}-fold, from {first['latency_ms']:.1f} to {last['latency_ms']:.1f} ms",
    )


def figure(table: Table) -> Figure:
    """Messages, kilobytes and latency of a block against the number of hospitals."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.45))
    panels = drawing.subplots(
        1, 3,
        gridspec_kw={"left": 0.075, "right": 0.985, "bottom": 0.31, "top": 0.76, "wspace": 0.3},
    )  # fmt: skip
    style.heading(
        drawing,
        "What a block of PBFT costs as hospitals join",
        "One client that waits for its result; hospitals of one country, 20–40 ms round trip",
    )
    hospitals = [row["hospitals"] for row in table]
    for axes, column, title, colour in zip(
        panels,
        ("messages", "kilobytes", "latency_ms"),
        ("Messages per block", "Kilobytes per block", "Median latency (ms)"),
        (style.BLUE, style.GREEN, style.VERMILION),
        strict=True,
    ):
        style.interval_line(axes, table, "hospitals", column, color=colour, marker="o")
        axes.set_title(title)
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(hospitals, [str(n) for n in hospitals])
        axes.set_xlabel("hospitals n")
        if column == "latency_ms":
            axes.set_ylim(0, 1.2 * max(row["latency_ms_high"] for row in table))
        else:
            axes.set_yscale("log")
    panels[0].plot(
        hospitals, [row["closed_form"] for row in table], color=style.INK, linewidth=0.6, zorder=3
    )
    panels[0].annotate(
        "thin line: closed form\n(n−1) + (n−1)² + n(n−1)", (0.97, 0.06), ha="right", va="bottom",
        xycoords="axes fraction", fontsize=6.5, color=style.MUTED,
    )  # fmt: skip
    seeds = table[0]["seeds"]
    style.caption(
        drawing,
        f"Points: means over {seeds} seeds, which set the delay of every pair of hospitals. Bars: "
        "95 % bootstrap intervals of the mean. Pre-prepare, prepare and",
        "commit are counted, requests and replies are not; sizes are those of the modelled wire "
        "format. n = 3f + 1.",
    )
    return drawing
