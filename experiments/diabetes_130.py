"""Readmission within 30 days: the published cohort, and what federations of stand-ins make of it.

69,987 patients, the first stay of each, none that ended in death or a hospice; 8.98 % come back
within 30 days. No model that sees only what is known at discharge has been much above an AUROC of
0.66, so more than 0.70 would mean that an input knows the outcome. The marks are those of
independent code on other splits, whose AUROC has a standard deviation of about 0.01 over splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from experiments import style
from experiments.alone_and_pooled import POOLED, aurocs
from experiments.statistics import outside, spread
from experiments.stem import Run, Table, Verdict, by_point

FEDERATED = "FedAvg"
CLAIM = (
    "FedAvg on the ledger between payers, specialties or sources of admission is within 0.01 AUROC "
    "of independent code's 0.639, 0.643 and 0.647, and nothing is above 0.70"
)
KEYS = ("stand_in", "model")

MARKS = {"payer": 0.639, "specialty": 0.643, "admission source": 0.647}
"""Independent code, FedAvg: AUROC over all test rows."""
PATIENTS, READMITTED = 69_987, 0.0898
NEAR, LEAK = 0.01, 0.70
LOOKS = {FEDERATED: (style.BLUE, "o"), POOLED: (style.VERMILION, "s")}


def measure(run: Run) -> dict[str, Any]:
    """The models that are not federated, and the size of the cohort."""
    from simulation.records.registry import source_of

    assert run.experiment is not None
    table = source_of("diabetes_130").read(run.experiment.data)
    return {**aurocs(run), "patients": len(table.y), "readmitted": float(table.y.mean())}


def table(runs: Sequence[Run]) -> Table:
    """AUROC by stand-in and model: mean over seeds with its interval, beside the mark."""
    rows: Table = []
    for labels, members in by_point(runs):
        place = labels["stand_in"]
        found = {
            FEDERATED: [run.last("pooled", "auroc") for run in members],
            POOLED: [run.measured[POOLED] for run in members],
        }
        for name, values in found.items():
            named = {"stand_in": place, "model": name, "seeds": len(members)}
            first = members[0]
            cohort = {
                "hospitals": first.experiment.hospitals if first.experiment else 0,
                "patients": first.measured["patients"],
                "readmitted": first.measured["readmitted"],
            }
            rows.append({**named, **cohort, **spread("auroc", values, place, name)})
    return rows


def verdict(table: Table) -> Verdict:
    """The cohort as published, FedAvg's intervals near their marks, and nothing too good."""
    rows = {str(row["stand_in"]): row for row in table if row["model"] == FEDERATED}
    federated = {place: float(row["auroc"]) for place, row in rows.items()}
    off = {place: abs(value - MARKS[place]) for place, value in federated.items()}
    out = max(outside(row, "auroc", MARKS[place]) for place, row in rows.items())
    best = max(float(row["auroc"]) for row in table)
    cohort = all(
        row["patients"] == PATIENTS and abs(float(row["readmitted"]) - READMITTED) < 5e-5
        for row in table
    )
    said = ", ".join(f"{value:.3f} by {place}" for place, value in federated.items())
    return Verdict(
        cohort and out <= NEAR and best <= LEAK,
        f"FedAvg has AUROC {said}; independent code is at most {max(off.values()):.3f} from these "
        f"means and {out:.3f} from their intervals; the best of all models has {best:.3f}; "
        f"{table[0]['patients']} patients, of whom "
        f"{float(table[0]['readmitted']):.2%} came back",
    )


def figure(table: Table) -> Figure:
    """FedAvg and the pooled model beside the mark, by what stands in for a hospital."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.6))
    axes = drawing.add_axes((0.2, 0.34, 0.66, 0.4))
    style.heading(
        drawing,
        "Readmission: federations of stand-ins, beside one model of all patients",
        "Diabetes-130, first stays, logistic regression, FedAvg on the ledger, no privacy",
    )
    places = list(dict.fromkeys(str(row["stand_in"]) for row in table))
    for row in table:
        colour, marker = LOOKS[str(row["model"])]
        height = places.index(str(row["stand_in"])) + (0.12 if row["model"] == POOLED else -0.12)
        low, mean, high = (float(row[c]) for c in ("auroc_low", "auroc", "auroc_high"))
        axes.plot([low, high], [height, height], color=colour, linewidth=1.2)
        axes.plot(mean, height, marker=marker, color=colour, markersize=4, linestyle="none")
    for place in places:
        axes.plot(
            MARKS[place], places.index(place) - 0.12, marker="D", color=style.INK, markersize=4.5,
            markerfacecolor="none", linestyle="none",
        )  # fmt: skip
    counts = {str(row["stand_in"]): row["hospitals"] for row in table}
    axes.set_yticks(range(len(places)), [f"{place} ({counts[place]})" for place in places])
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_xlabel("AUROC over all test rows")
    style.caption(
        drawing,
        f"Circles: FedAvg; squares: one model of all patients; means over {_seeds(table)}, "
        "bars: 95 % bootstrap intervals of the mean.",
        "Open diamonds: FedAvg of independent code on splits of its own. In brackets: groups that "
        "stand in for hospitals, which the data do not name.",
    )
    return drawing


def _seeds(table: Table) -> str:
    count = table[0]["seeds"]
    return "1 seed" if count == 1 else f"{count} seeds"
