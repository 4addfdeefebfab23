"""What the simulator itself costs: processor time for each second of virtual time.

Processor time is that of the runs' manifests, so it contains the world's set-up and the writing of
the trace, and depends on the machine. It is shown and never compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "Up to 16 hospitals the simulator is faster than the consensus that it simulates at 50 "
    "requests per second, and its cost grows with the number of messages and no faster"
)
KEYS = ("hospitals",)


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds with their intervals, by number of hospitals."""
    rows: Table = []
    for labels, members in by_point(runs):
        n = labels["hospitals"]
        sent = [_messages(run) for run in members]
        spent = [run.manifest["processor_s"] for run in members]
        virtual = [run.manifest["virtual_us"] / 1e6 for run in members]
        slower = [w / v for w, v in zip(spent, virtual, strict=True)]
        rate = [m / w for m, w in zip(sent, spent, strict=True)]
        rows.append(
            {
                "hospitals": n,
                "seeds": len(members),
                "virtual_s": virtual[0],
                **spread("messages", sent, n),
                **spread("processor_s", spent, n),
                **spread("slower", slower, n),
                **spread("messages_per_s", rate, n),
            }
        )
    return rows


def _messages(run: Run) -> float:
    return float(sum(kind["messages"] for kind in run.manifest["summary"]["messages"].values()))


def verdict(table: Table) -> Verdict:
    """Less than a processor second per virtual second up to 16; exponent of cost at most 1."""
    small = [row for row in table if row["hospitals"] <= 16]
    slowest = max(row["slower"] for row in small)
    first, last = table[0], table[-1]
    growth = math.log(last["processor_s"] / first["processor_s"])
    exponent = growth / math.log(last["messages"] / first["messages"])
    return Verdict(
        slowest < 1 and exponent <= 1,
        f"a virtual second takes {small[-1]['slower']:.2f} s with {small[-1]['hospitals']} "
        f"hospitals and {last['slower']:.1f} s with {last['hospitals']}; from "
        f"{first['messages']:,.0f} to {last['messages']:,.0f} messages the time grows "
        f"like messages to the {exponent:.2f}",
    )


def figure(table: Table) -> Figure:
    """Processor seconds per virtual second, and messages per processor second."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.4))
    left, right = drawing.subplots(
        1, 2,
        gridspec_kw={"left": 0.08, "right": 0.985, "bottom": 0.3, "top": 0.77, "wspace": 0.2},
    )  # fmt: skip
    style.heading(
        drawing,
        "What the simulator costs",
        "PBFT between hospitals of one country, 50 requests per second, each a block of its own",
    )
    hospitals = [row["hospitals"] for row in table]
    style.interval_line(left, table, "hospitals", "slower", color=style.BLUE, marker="o")
    style.interval_line(
        right, table, "hospitals", "messages_per_s", 1e-3, color=style.GREEN, marker="s"
    )
    left.axhline(1, color=style.INK, linewidth=0.6)
    left.annotate(
        "real time", (hospitals[-2], 1), xytext=(0, 2), textcoords="offset points", fontsize=6.5,
        color=style.MUTED,
    )  # fmt: skip
    for axes, title in (
        (left, "Processor seconds per virtual second"), (right, "Thousand messages per second")
    ):  # fmt: skip
        axes.set_title(title)
        axes.set_xscale("log")
        axes.set_yscale("log")
        style.plain_log(axes.yaxis)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(hospitals, [str(n) for n in hospitals])
        axes.set_xlabel("hospitals n")
    style.caption(
        drawing,
        f"Points: means over {table[0]['seeds']} seeds; bars: 95 % bootstrap intervals of the "
        f"mean. Each run simulates {table[0]['virtual_s']:.1f} s; its set-up and the writing",
        "of its trace are counted. One thread on the machine that the manifest names; other "
        "machines, and other work on the same one, give other numbers.",
    )
    return drawing
