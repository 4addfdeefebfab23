"""The price of privacy between 49 hospitals of a trial, and between 16 payers of a registry.

The same table as that of `privacy_utility` for heart disease: what is left of the model, in order
(AUROC) and in calibration (ECE), when every hospital spends ε over all rounds together, and noise
is calibrated for each hospital's own size. Inputs are scaled by published ranges, so that ε covers
everything that the model has seen. The payers stand in for hospitals, which the data do not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "At ε = 1 over the whole run both data sets keep an AUROC within 0.05 of training without "
    "privacy and at 0.1 the trial's small hospitals do not, and no hospital spends more than its ε"
)
KEYS = ("data_set", "epsilon")

KEPT = 0.05
NONE = "none"
MEASURES = ("auroc", "ece", "log_loss", "brier")
LOOKS = ((style.VERMILION, "o"), (style.BLUE, "s"))


def table(runs: Sequence[Run]) -> Table:
    """Metrics of all test rows after the last round, means over seeds with their intervals."""
    rows: Table = []
    for labels, members in by_point(runs):
        key = (labels["data_set"], labels["epsilon"])
        found = {name: [run.last("pooled", name) for run in members] for name in MEASURES}
        spent = [value for run in members for _, value in run.series("max", "epsilon")]
        rows.append(
            {
                "data_set": labels["data_set"],
                "epsilon": str(labels["epsilon"]),
                "seeds": len(members),
                **{k: v for name in MEASURES for k, v in spread(name, found[name], *key).items()},
                "spent": round(max(spent), 6) if spent else NONE,
            }
        )
    return rows


def verdict(table: Table) -> Verdict:
    """What AUROC and calibration each ε costs, and whether anybody spends more."""
    names = list(dict.fromkeys(str(row["data_set"]) for row in table))
    lost = {
        (name, float(row["epsilon"])): _plain(table, name)["auroc"] - row["auroc"]
        for name in names
        for row in table
        if row["data_set"] == name and row["epsilon"] != NONE
    }
    private = [row for row in table if row["epsilon"] != NONE]
    over = sum(float(row["spent"]) > float(row["epsilon"]) for row in private)
    near = all(loss <= KEPT for (_, epsilon), loss in lost.items() if epsilon == 1)
    small = lost.get((names[0], 0.1), 0.0) > KEPT
    told = "; ".join(
        f"{name}: AUROC {_plain(table, name)['auroc']:.3f} and ECE {_plain(table, name)['ece']:.3f}"
        " without privacy, "
        + ", ".join(
            f"{row['auroc']:.3f} and {row['ece']:.3f} at ε = {row['epsilon']}"
            for row in private
            if row["data_set"] == name
        )
        for name in names
    )
    return Verdict(
        near and small and not over,
        f"{told}; more than its ε is spent in {over} of {len(private)} rows",
    )


def _plain(table: Table, name: str) -> dict[str, Any]:
    (row,) = [r for r in table if r["data_set"] == name and r["epsilon"] == NONE]
    return row


def figure(table: Table) -> Figure:
    """AUROC and calibration error against ε; lines: without privacy."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.9))
    panels = drawing.subplots(
        1, 2, gridspec_kw={"left": 0.09, "right": 0.985, "bottom": 0.3, "top": 0.8, "wspace": 0.2}
    )
    style.heading(
        drawing,
        "What ε costs between real hospitals",
        "Logistic regression, FedAvg, noise calibrated for each hospital and the whole run",
    )
    names = list(dict.fromkeys(row["data_set"] for row in table))
    for axes, (column, title) in zip(
        panels, (("auroc", "AUROC"), ("ece", "Expected calibration error")), strict=True
    ):
        for name, (colour, marker) in zip(names, LOOKS, strict=False):
            rows = [r for r in table if r["data_set"] == name and r["epsilon"] != NONE]
            axes.plot(
                [float(row["epsilon"]) for row in rows], [row[column] for row in rows],
                marker=marker, color=colour, label=name,
            )  # fmt: skip
            for row in rows:
                ends = [row[f"{column}_low"], row[f"{column}_high"]]
                axes.plot([float(row["epsilon"])] * 2, ends, color=colour)
            axes.axhline(_plain(table, name)[column], color=colour, linestyle=(0, (4, 2)))
        axes.set_xscale("log")
        axes.set_title(title)
        axes.set_xlabel("ε of each hospital over all rounds (δ = 10⁻⁶)")
    panels[1].set_ylim(bottom=0)
    handles, labels = panels[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.08, 0.09), ncols=2)
    style.caption(
        drawing,
        f"Marks: means over {table[0]['seeds']} seeds (splits, first model, batches, noise); bars: "
        "95 % bootstrap intervals of the mean. Dashed: without privacy. All test rows.",
    )
    return drawing
