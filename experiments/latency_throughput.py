"""Latency against committed requests per second, for every protocol: the hockey stick.

Message delays from a client at the leader to its result, in the normal case: the sequencer and its
own client none, Raft two (entry and answer; Ongaro and Ousterhout, ATC 2014, §5.3), PBFT three
(pre-prepare, prepare, commit; Castro and Liskov, OSDI '99, §4.2), chained HotStuff two for each of
the blocks that certify (Yin et al., PODC 2019, §5). Clients elsewhere add their way to the leader.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "With four hospitals latency follows the message delays of the protocol (sequencer, Raft, "
    "PBFT, HotStuff, in this order) from 4 to 256 waiting clients, and PBFT costs less than twice "
    "the latency of Raft"
)
KEYS = ("protocol", "clients")
PERCENTILES = ("p50", "p90", "p99")
LOOKS = {
    "sequencer": (style.MUTED, "D"),
    "raft": (style.GREEN, "s"),
    "pbft": (style.BLUE, "o"),
    "hotstuff": (style.VERMILION, "^"),
}
NAMES = {"sequencer": "sequencer", "raft": "Raft", "pbft": "PBFT", "hotstuff": "HotStuff"}


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds with their intervals, by protocol and number of clients."""
    rows: Table = []
    for labels, members in by_point(runs):
        key = (labels["consensus.kind"], labels["workload.clients"])
        row: dict[str, str | int | float] = {
            "protocol": key[0], "clients": key[1], "seeds": len(members)
        }  # fmt: skip
        done = [run.last("workload", "throughput_per_s") for run in members]
        row |= spread("throughput_per_s", done, *key)
        for name in PERCENTILES:
            latency = [run.last("workload", f"latency_{name}_us") / 1000 for run in members]
            row |= spread(f"{name}_ms", latency, *key)
        rows.append(row)
    return rows


def verdict(table: Table) -> Verdict:
    """The order of median latencies at every number of clients, and PBFT against Raft."""
    median = {(row["protocol"], row["clients"]): row["p50_ms"] for row in table}
    clients = sorted({row["clients"] for row in table})
    pairs = list(itertools.pairwise(LOOKS))
    wrong = [c for c in clients if not all(median[a, c] < median[b, c] for a, b in pairs)]
    ratio = max(median["pbft", c] / median["raft", c] for c in clients)
    least = ", ".join(f"{NAMES[p]} {median[p, clients[0]]:.0f}" for p in LOOKS)
    order = "the order holds at every load" if not wrong else f"the order breaks at {wrong} clients"
    return Verdict(
        not wrong and ratio < 2,
        f"median latency with {clients[0]} clients in ms: {least}; {order}; PBFT takes at most "
        f"{ratio:.2f} times as long as Raft",
    )


def figure(table: Table) -> Figure:
    """One line for each protocol and percentile."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.75))
    panels = drawing.subplots(
        1, 3, sharey=True, sharex=True,
        gridspec_kw={"left": 0.07, "right": 0.88, "bottom": 0.29, "top": 0.79, "wspace": 0.08},
    )  # fmt: skip
    style.heading(
        drawing,
        "Latency against throughput",
        "Four hospitals of one country; 4 to 256 clients that wait for each result",
    )
    clients = sorted({row["clients"] for row in table})
    for axes, percentile in zip(panels, PERCENTILES, strict=True):
        for protocol, (colour, marker) in LOOKS.items():
            rows = [row for row in table if row["protocol"] == protocol]
            axes.errorbar(
                [row["throughput_per_s"] for row in rows],
                [row[f"{percentile}_ms"] for row in rows],
                xerr=style.arms(rows, "throughput_per_s"),
                yerr=style.arms(rows, f"{percentile}_ms"),
                color=colour, marker=marker, elinewidth=0.8,
            )  # fmt: skip
        axes.set_title({"p50": "Median (ms)", "p90": "90th percentile", "p99": "99th"}[percentile])
        axes.set_xscale("log")
        axes.set_xlabel("committed (1/s)")
    # The panels share their heights, so the limit is that of all three.
    panels[0].set_ylim(0, 1.05 * max(row["p99_ms_high"] for row in table))
    ends = {
        protocol: next(row for row in reversed(table) if row["protocol"] == protocol)
        for protocol in LOOKS
    }
    style.label_ends(
        panels[-1],
        [(row["p99_ms"], NAMES[protocol], LOOKS[protocol][0]) for protocol, row in ends.items()],
    )
    style.caption(
        drawing,
        f"Points, from left to right: {', '.join(str(c) for c in clients)} clients; means over "
        f"{table[0]['seeds']} seeds, which set the delay of every pair of hospitals; bars: 95 % "
        "bootstrap",
        "intervals of the mean. Each client is at a hospital and done when that hospital has "
        "executed its request. Batches of up to 64 are closed after 2 ms.",
    )
    return drawing
