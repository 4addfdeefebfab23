"""The main results on three real data sets: what each system learns and what it costs (table T2).

Central training has all records in one place; under local training each row is judged by the model
of its own hospital. Federations use one aggregation rule, federated averaging in integers, with
and without a ledger, so that what differs between two rows is what their names say. Metrics are
over all test rows, after the last round. Bytes are all that is sent between nodes; how pooled
records came to one place is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from experiments.round_costs import bytes_per_round, seconds_per_round
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "The ledger leaves what a private federation learns as it is, to the last bit of the model: "
    "its row differs from that of FedAvg with DP by nothing but time and bytes"
)
KEYS = ("data", "system")

PLAIN, PRIVATE, LEDGER = "FedAvg", "FedAvg + DP", "FedAvg + DP + ledger"
MEASURES = ("auroc", "auprc", "brier", "ece")
COSTS = ("seconds", "bytes")
"""Virtual seconds and bytes of a round."""


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds with their intervals: model metrics, ε, seconds and bytes of a round."""
    points = {(labels["data"], labels["system"]): members for labels, members in by_point(runs)}
    rows: Table = []
    for (data, system), members in points.items():
        # One stream of resamples for all systems on a data set: they share their seeds, so equal
        # values must have equal intervals.
        seconds = [seconds_per_round(run) for run in members]
        sent = [bytes_per_round(run) for run in members]
        rows.append(
            {
                "data": data,
                "system": system,
                "seeds": len(members),
                **{
                    column: value
                    for name in MEASURES
                    for column, value in spread(
                        name, [run.last("pooled", name) for run in members], data
                    ).items()
                },
                "epsilon": _epsilon(members),
                **spread("seconds", seconds, data),
                **spread("bytes", sent, data),
                "same_model": _same(members, points[data, PRIVATE]) if system == LEDGER else "",
            }
        )
    return rows


def _epsilon(runs: Sequence[Run]) -> float | str:
    """The largest ε that any hospital has spent in any run; ``none`` without privacy."""
    spent = [value for run in runs for _, value in run.series("max", "epsilon")]
    return max(spent) if spent else "none"


def _same(runs: Sequence[Run], others: Sequence[Run]) -> int:
    """1 when the last models of all seeds are equal bit for bit, by their digests; else 0."""
    models, expected = (
        {run.seed: run.manifest["summary"]["model"] for run in members}
        for members in (runs, others)
    )
    return int(models == expected)


def verdict(table: Table) -> Verdict:
    """Equal models and equal columns with and without the ledger; beside it what DP costs."""
    names = list(dict.fromkeys(row["data"] for row in table))
    rows = {(row["data"], row["system"]): row for row in table}
    free = {"system", "same_model"} | {f"{c}{end}" for c in COSTS for end in ("", "_low", "_high")}
    differ = [
        f"{name}: {column}"
        for name in names
        for column, value in rows[name, LEDGER].items()
        if column not in free and rows[name, PRIVATE][column] != value
    ]
    models = sum(rows[name, LEDGER]["same_model"] == 1 for name in names)
    slower = [_times(rows, name, "seconds") for name in names]
    larger = [_times(rows, name, "bytes") for name in names]
    price = ", ".join(f"{_price(rows, name):.3f} on {name}" for name in names)
    found = f" ({', '.join(differ)})" if differ else ""
    return Verdict(
        not differ and models == len(names),
        f"models are equal bit for bit on {models} of {len(names)} data sets and {len(differ)} "
        f"columns other than time and bytes differ{found}; a round takes {min(slower):.1f} to "
        f"{max(slower):.1f} times as long and sends {min(larger):.0f} to {max(larger):.0f} times "
        f"as many bytes; DP at ε = {rows[names[0], PRIVATE]['epsilon']:.2g} costs an AUROC of "
        f"{price}",
    )


def _times(rows: Mapping[Any, Mapping[str, Any]], name: Any, column: str) -> float:
    return rows[name, LEDGER][column] / rows[name, PRIVATE][column]


def _price(rows: Mapping[Any, Mapping[str, Any]], name: Any) -> float:
    return rows[name, PLAIN]["auroc"] - rows[name, PRIVATE]["auroc"]


# ---- the table as a figure ----------------------------------------------------------------------

_METRICS = {
    "auroc": (0.405, "AUROC↑"),
    "auprc": (0.53, "AUPRC↑"),
    "brier": (0.65, "Brier↓"),
    "ece": (0.77, "ECE↓"),
}
"""Where each metric's column ends, its name, and whether more or less is better."""
_EPSILON, _SECONDS, _BYTES = 0.825, 0.905, 1.0
_SIZE, _SMALL = 6.2, 4.6


def figure(table: Table) -> Figure:
    """Table T2, one column wide: systems by data set, each mean with its interval below it."""
    names = list(dict.fromkeys(row["data"] for row in table))
    lines = len(table) + 0.8 * len(names)
    height = 1.5 + 0.2 * lines
    drawing = Figure(figsize=(style.COLUMN_IN, height))
    axes = style.table_axes(drawing, -0.4, lines - 0.4, above_in=0.64, below_in=0.8)
    style.heading(
        drawing,
        "What is learned, and what it costs",
        "Pooled, alone, and in a federation; logistic regression",
    )
    heads = [*_METRICS.values(), (_EPSILON, "ε"), (_SECONDS, "s"), (_BYTES, "kB")]
    for x, text in heads:
        axes.text(x, -0.65, text, ha="right", va="bottom", fontsize=_SIZE, fontweight="bold")
    axes.axhline(-0.5, color=style.INK, linewidth=0.8)
    y = 0.0
    for name in names:
        axes.text(0, y, name, va="center", fontsize=_SIZE, fontweight="bold")
        y += 0.8
        for row in (row for row in table if row["data"] == name):
            _draw_row(axes, row, y)
            y += 1
        axes.axhline(y - 0.5, color=style.FAINT, linewidth=0.6)
    style.caption(
        drawing,
        f"Means over {table[0]['seeds']} seeds (splits, first model, batches, noise, network),",
        "small: 95 % bootstrap intervals of the mean. All test rows, last",
        "model; local: each row under its own hospital's. ε: largest of any",
        "hospital, for single records; it leaves out the pooled statistics",
        "by which IST and diabetes-130 are scaled. s, kB: virtual seconds",
        "and data sent in a round; central and local training send none.",
    )
    return drawing


def _draw_row(axes: Axes, row: Mapping[str, Any], y: float) -> None:
    look = {"va": "center", "fontsize": _SIZE, "color": style.INK}
    if row["system"] == LEDGER:
        look["color"] = style.VERMILION
    axes.text(0.015, y, row["system"], **look)
    small = {"va": "center", "ha": "right", "fontsize": _SMALL, "color": style.MUTED}
    for column, (x, _) in _METRICS.items():
        low, high = (f"{row[f'{column}_{end}']:.3f}".removeprefix("0") for end in ("low", "high"))
        axes.text(x, y - 0.17, f"{row[column]:.3f}", ha="right", **look)
        axes.text(x, y + 0.27, f"{low}–{high}", **small)
    epsilon = "∞" if row["epsilon"] == "none" else f"{row['epsilon']:.2g}"
    sent = f"{row['bytes'] / 1000:,.3g}" if row["bytes"] < 1e6 else f"{row['bytes'] / 1000:,.0f}"
    axes.text(_EPSILON, y, epsilon, ha="right", **look)
    axes.text(_SECONDS, y, f"{row['seconds']:,.2f}", ha="right", **look)
    axes.text(_BYTES, y, sent if row["bytes"] else "–", ha="right", **look)
