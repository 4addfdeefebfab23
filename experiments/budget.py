"""Enforcement by contract: what a hospital may spend is decided by the ledger, not by the hospital.

Noise is planned so that all rounds together would spend the planned ε. Under a cap a hospital sits
out, visibly, the first round that its account on the ledger has no room for, and all later ones.
The ledger would refuse its commitment: the row ``overspend`` of ``attack_defence`` is who tries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "Under a cap on the ledger no hospital ever spends more than the cap, and the federation "
    "learns on with whoever has budget left: it loses less than 0.05 AUROC against no cap"
)
KEYS = ("cap", "round")
FREE = "no cap"
CAPS = {"cap 3": 3.0, "cap 2": 2.0}
LOOKS = {FREE: (style.MUTED, "o"), "cap 3": (style.BLUE, "s"), "cap 2": (style.VERMILION, "^")}


def table(runs: Sequence[Run]) -> Table:
    """By cap and round: ε of whoever spent most, updates in the model, AUROC."""
    rows: Table = []
    for labels, members in by_point(runs):
        cap, rounds = labels["cap"], [number for number, _ in members[0].series("round", "void")]
        epsilon = [_spent(run) for run in members]
        accepted = [dict(run.series("round", "updates_accepted")) for run in members]
        auroc = [dict(run.series("pooled", "auroc")) for run in members]
        for number in rounds:
            rows.append(
                {
                    "cap": cap,
                    "round": number,
                    "seeds": len(members),
                    **spread("epsilon", [_until(e, number) for e in epsilon], cap, number),
                    **spread("accepted", [a.get(number, 0.0) for a in accepted], cap, number),
                    **spread("auroc", [_until(a, number) for a in auroc], cap, number),
                }
            )
    return rows


def _spent(run: Run) -> dict[int, float]:
    """The largest ε that any hospital has spent, by round."""
    return dict(run.series("max", "epsilon"))


def _until(values: Mapping[int, float], number: int) -> float:
    """A value that stays as it is in rounds that change nothing."""
    return values[max(n for n in values if n <= number)]


def verdict(table: Table) -> Verdict:
    """Every ε below its cap, and the last AUROC within 0.05 of that without a cap."""
    last = {row["cap"]: row for row in table}
    caps = [cap for cap in last if cap != FREE]
    kept = all(last[cap]["epsilon_high"] <= CAPS[cap] + 1e-6 for cap in caps)
    free = last[FREE]["auroc"]
    worst = max(free - last[cap]["auroc"] for cap in caps)
    told = ", ".join(
        f"{cap}: ε {last[cap]['epsilon']:.2f}, AUROC {last[cap]['auroc']:.3f}" for cap in caps
    )
    return Verdict(
        kept and worst < 0.05,
        f"without a cap ε {last[FREE]['epsilon']:.2f}, AUROC {free:.3f}; {told}; in the last "
        f"round {last[caps[-1]]['accepted']:.1f} updates are accepted under the lowest cap",
    )


def figure(table: Table) -> Figure:
    """ε, accepted updates and AUROC against round."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.5))
    panels = drawing.subplots(
        1, 3,
        gridspec_kw={"left": 0.06, "right": 0.9, "bottom": 0.29, "top": 0.77, "wspace": 0.25},
    )  # fmt: skip
    style.heading(
        drawing,
        "A privacy budget that the ledger keeps",
        "Five hospitals, DP-SGD planned for ε = 4 over all rounds, caps on what each may spend",
    )
    titles = {
        "epsilon": "ε spent, largest of all", "accepted": "Updates accepted", "auroc": "AUROC"
    }  # fmt: skip
    for axes, (column, title) in zip(panels, titles.items(), strict=True):
        for cap, (colour, marker) in LOOKS.items():
            rows: list[dict[str, Any]] = [row for row in table if row["cap"] == cap]
            if rows:
                style.interval_line(axes, rows, "round", column, color=colour, marker=marker)
            if column == "epsilon" and cap != FREE and rows:
                axes.axhline(CAPS[cap], color=colour, linewidth=0.6)
        axes.set_title(title)
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if column != "auroc":
            axes.set_ylim(bottom=0)
    last = {row["cap"]: row for row in table}
    style.label_ends(
        panels[-1],
        [(row["auroc"], cap, LOOKS[cap][0])
         for cap, row in last.items()],
    )  # fmt: skip
    style.caption(
        drawing,
        f"Points: means over {table[0]['seeds']} seeds (records dealt to hospitals, initial model, "
        "batches, noise, network); bars: 95 % bootstrap intervals of the mean.",
        "Thin lines: the caps. Wisconsin breast cancer, logistic regression, δ = 10⁻⁴. A round "
        "without any accepted update leaves the model as it is.",
    )
    return drawing
