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
    """The outage against the timeout, with the closed form as thin lines."""
    drawing = Figure(figsize=(style.COLUMN_IN, 2.9))
    axes = drawing.subplots(
        gridspec_kw={"left": 0.15, "right": 0.72, "bottom": 0.36, "top": 0.8},
    )
    style.heading(drawing, "The price of a silent primary", "PBFT, seven hospitals of one country")
    ends: list[tuple[float, str, str]] = []
    for silent, (colour, marker) in LOOKS.items():
        rows = [row for row in table if row["silent"] == silent]
        style.interval_line(axes, rows, "timeout_ms", "gap_ms", color=colour, marker=marker)
        axes.plot(
            [row["timeout_ms"] for row in rows], [row["closed_form_ms"] for row in rows],
            color=style.INK, linewidth=0.6,
        )  # fmt: skip
        ends.append((rows[-1]["gap_ms"], f"{'one' if silent == 1 else 'two'} silent", colour))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks(HEIGHTS_MS, [f"{height:,}" for height in HEIGHTS_MS])
    axes.set_title("Nothing commits for (ms)")
    timeouts = sorted({row["timeout_ms"] for row in table})
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(timeouts, [f"{t:,}" for t in timeouts])
    axes.set_xlabel("request timeout T (ms)")
    for height, text, colour in ends:
        row = next(r for r in table if r["gap_ms"] == height)
        axes.annotate(
            text, (row["timeout_ms"], height), xytext=(6, 0), textcoords="offset points",
            va="center", color=colour, fontsize=7, annotation_clip=False,
        )  # fmt: skip
    style.caption(
        drawing,
        f"Points: means over {table[0]['seeds']} seeds, which set the delay of each",
        "pair of hospitals; bars (smaller than the marks): 95 %",
        "bootstrap intervals. Thin lines: T, and T + 2T when",
        "the second primary is silent too. 50 requests a second.",
    )
    return drawing
