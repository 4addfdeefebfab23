"""The price of a faulty leader: how long nothing commits after the primary of PBFT goes silent.

The closed form is that of `simulation.nodes.analytic`: a backup waits a timeout T from the request
that it knows, and with k silent primaries in a row the timeout doubles each time (Castro and
Liskov, OSDI '99, §4.4 and §4.5.2), so that a decision takes (2^k − 1) T and some network delays.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "When the primary goes silent under load, seven hospitals stand still for the timeout and at "
    "most 300 ms more, and for three timeouts when its successor is silent too"
)
KEYS = ("silent", "timeout_ms")
SILENT = {"one": 1, "two": 2}
ENDS = ("gap_ms", "gap_ms_low", "gap_ms_high")
LOOKS = {1: (style.BLUE, "o"), 2: (style.VERMILION, "s")}
CRASH_US = 1_500_000
SLACK_MS = 300.0
HEIGHTS_MS = (250, 500, 1000, 2000, 4000)


def measure(run: Run) -> dict[str, float]:
    """The longest span after the crash without a prepared batch, and batches a second after it."""
    from simulation.runs.artifacts import read_trace

    times = sorted(
        event["t_us"]
        for event in read_trace(run.directory)
        if event.get("what") == "prepared" and event["replica"] == OBSERVER
    )
    around = [t for t in times if t >= CRASH_US - 200_000]
    gaps = [(b - a, b) for a, b in itertools.pairwise(around)]
    longest, resumed = max(gaps)
    left = times[-1] - resumed
    return {"gap_us": longest, "after_per_s": sum(t > resumed for t in times) / left * 1e6}


OBSERVER = 6
"""A replica that is never silent."""


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds with their intervals, by number of silent primaries and timeout."""
    rows: Table = []
    for labels, members in by_point(runs):
        silent, timeout = SILENT[labels["silent"]], labels["consensus.request_timeout_ms"]
        gaps = [run.measured["gap_us"] / 1000 for run in members]
        after = [run.measured["after_per_s"] for run in members]
        rows.append(
            {
                "silent": silent,
                "timeout_ms": timeout,
                "seeds": len(members),
                "closed_form_ms": (2**silent - 1) * timeout,
                **spread("gap_ms", gaps, silent, timeout),
                **spread("after_per_s", after, silent, timeout),
            }
        )
    return sorted(rows, key=lambda row: (row["silent"], row["timeout_ms"]))


def verdict(table: Table) -> Verdict:
    """Every gap between its number of timeouts and 300 ms more."""
    over = [row["gap_ms"] - row["closed_form_ms"] for row in table]
    one, two = (_longest(table, silent) for silent in (1, 2))
    return Verdict(
        all(0 <= extra <= SLACK_MS for extra in over),
        f"nothing commits for {one['gap_ms']:.0f} ms at a timeout of {one['timeout_ms']} ms, and "
        f"for {two['gap_ms']:.0f} ms at {two['timeout_ms']} ms with two silent primaries; beyond "
        f"the timeouts it takes {min(over):.0f} to {max(over):.0f} ms",
    )


def _longest(table: Table, silent: int) -> dict[str, Any]:
    return [row for row in table if row["silent"] == silent][-1]


def figure(table: Table) -> Figure:
    """The outage against the timeout beside the closed form, and what it takes beyond that."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.5))
    panels = drawing.subplots(
        1, 2,
        gridspec_kw={"left": 0.065, "right": 0.93, "bottom": 0.32, "top": 0.77, "wspace": 0.3},
    )  # fmt: skip
    style.heading(
        drawing,
        "The price of a silent primary",
        "PBFT between seven hospitals of one country, 50 requests a second",
    )
    timeouts = sorted({row["timeout_ms"] for row in table})
    for silent, (colour, marker) in LOOKS.items():
        rows = [row for row in table if row["silent"] == silent]
        look = {"color": colour, "marker": marker}
        style.interval_line(panels[0], rows, "timeout_ms", "gap_ms", **look)
        closed = [row["closed_form_ms"] for row in rows]
        panels[0].plot([row["timeout_ms"] for row in rows], closed, color=style.INK, linewidth=0.6)
        beyond = [
            {name: row[name] - row["closed_form_ms"] for name in ENDS} | {"at": row["timeout_ms"]}
            for row in rows
        ]
        style.interval_line(panels[1], beyond, "at", "gap_ms", **look)
        for axes, height in ((panels[0], rows[-1]["gap_ms"]), (panels[1], beyond[-1]["gap_ms"])):
            axes.annotate(
                f"{'one' if silent == 1 else 'two'} silent", (rows[-1]["timeout_ms"], height),
                xytext=(6, 0), textcoords="offset points", va="center", color=colour, fontsize=7,
                annotation_clip=False,
            )  # fmt: skip
    panels[0].set_title("Nothing commits for (ms)")
    panels[0].set_yscale("log")
    panels[0].yaxis.set_minor_locator(NullLocator())
    panels[0].set_yticks(HEIGHTS_MS, [f"{height:,}" for height in HEIGHTS_MS])
    panels[1].set_title("Of this beyond the timeouts (ms)")
    panels[1].set_ylim(0, 520)
    panels[1].axhline(SLACK_MS, color=style.INK, linewidth=0.6)
    panels[1].annotate(
        "what is claimed", (timeouts[0], SLACK_MS), xytext=(0, -8), textcoords="offset points",
        fontsize=6.5, color=style.MUTED,
    )  # fmt: skip
    for axes in panels:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(timeouts, [f"{t:,}" for t in timeouts])
        axes.set_xlabel("request timeout T (ms)")
    style.caption(
        drawing,
        f"Points: means over {table[0]['seeds']} seeds, which set the delay of each pair of "
        "hospitals; bars: 95 % bootstrap intervals of the mean. Thin lines, left: T, and T + 2T "
        "when",
        "the second primary is silent too. A client tells all replicas when it has waited 100 ms, "
        "and only then do their timers run.",
    )
    return drawing
