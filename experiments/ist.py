"""The International Stroke Trial between its real hospitals: as good as one model of all patients?

19,285 patients with a known outcome; hospitals with at least 100 or 30 of them, or countries with
at least 100. The marks are those of independent code on other splits of the same data, whose AUROC
has a standard deviation of 0.006 to 0.009 over splits; over another five seeds the mean of local
models at 49 hospitals was 0.738 in place of 0.720. FedAvg needs many small steps to get there:
with bigger ones, or more of them between two rounds, hospitals start faster, drift apart, and end
lower.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from experiments import style
from experiments.alone_and_pooled import LOCAL, OWN, POOLED, aurocs
from experiments.statistics import outside, spread
from experiments.stem import Run, Table, Verdict, by_point

FEDERATED = "FedAvg"
CLAIM = (
    "Between 49 and 187 hospitals and 24 countries FedAvg on the ledger is within 0.005 AUROC of "
    "one model of all patients, and every AUROC within 0.01 of independent code's"
)
KEYS = ("federation", "model")

MARKS = {  # independent code: AUROC over all test rows; mean local: over hospitals
    ("49 hospitals", POOLED): 0.800,
    ("49 hospitals", FEDERATED): 0.800,
    ("49 hospitals", LOCAL): 0.722,
    ("187 hospitals", POOLED): 0.807,
    ("187 hospitals", FEDERATED): 0.807,
    ("187 hospitals", LOCAL): 0.699,
    ("24 countries", POOLED): 0.804,
    ("24 countries", FEDERATED): 0.804,
    ("24 countries", OWN): 0.816,
}
NEAR, EQUAL = 0.01, 0.005
LOOKS = {
    FEDERATED: (style.BLUE, "o"),
    POOLED: (style.VERMILION, "s"),
    LOCAL: (style.MUTED, "v"),
    OWN: (style.MUTED, "^"),
}

measure = aurocs


def table(runs: Sequence[Run]) -> Table:
    """AUROC by federation and model: mean over seeds with its interval, and the mark."""
    rows: Table = []
    for labels, members in by_point(runs):
        place = labels["federation"]
        found = {FEDERATED: [run.last("pooled", "auroc") for run in members]}
        found |= {name: [run.measured[name] for run in members] for name in (POOLED, LOCAL, OWN)}
        for name, values in found.items():
            if (place, name) in MARKS:
                mark = MARKS[place, name]
                numbers = spread("auroc", values, place, name)
                rows.append(
                    {"federation": place, "model": name, "seeds": len(members), **numbers}
                    | {"mark": mark}
                )
    return rows


def verdict(table: Table) -> Verdict:
    """FedAvg beside the pooled model, and every interval beside its mark."""
    auroc = {(row["federation"], row["model"]): float(row["auroc"]) for row in table}
    places = list(dict.fromkeys(place for place, _ in auroc))
    apart = {p: abs(auroc[p, FEDERATED] - auroc[p, POOLED]) for p in places}
    off = {key: abs(value - MARKS[key]) for key, value in auroc.items()}
    out = {key: outside(row, "auroc", MARKS[key]) for key, row in zip(auroc, table, strict=True)}
    worst = max(off, key=lambda key: off[key])
    said = ", ".join(f"{auroc[p, FEDERATED]:.3f} at {p}" for p in places)
    return Verdict(
        max(apart.values()) <= EQUAL and max(out.values()) <= NEAR,
        f"FedAvg has AUROC {said}; it is at most {max(apart.values()):.4f} from the model of all "
        f"patients; furthest from its mark is {worst[1]} at {worst[0]}, {off[worst]:.3f} from the "
        f"mean and {out[worst]:.3f} from its interval",
    )


def figure(table: Table) -> Figure:
    """Each model's AUROC beside its mark, by federation."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.9))
    places = list(dict.fromkeys(str(row["federation"]) for row in table))
    grid = drawing.subplots(
        1, len(places), sharex=True, squeeze=False,
        gridspec_kw={"left": 0.13, "right": 0.97, "bottom": 0.3, "top": 0.76, "wspace": 0.5},
    )  # fmt: skip
    style.heading(
        drawing,
        "Stroke: hospitals together, beside one model of all patients",
        "International Stroke Trial, logistic regression, FedAvg on the ledger, no privacy",
    )
    for axes, place in zip(grid[0], places, strict=True):
        rows = [row for row in table if row["federation"] == place]
        for height, row in enumerate(rows):
            colour, marker = LOOKS[str(row["model"])]
            low, mean, high = (float(row[c]) for c in ("auroc_low", "auroc", "auroc_high"))
            axes.plot([low, high], [height, height], color=colour, linewidth=1.2)
            axes.plot(mean, height, marker=marker, color=colour, markersize=4)
            axes.plot(
                float(row["mark"]), height, marker="D", color=style.INK, markersize=4,
                markerfacecolor="none", linestyle="none",
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [str(row["model"]) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_title(place)
        axes.set_xlabel("AUROC")
    style.caption(
        drawing,
        f"Filled: means over {_seeds(table)} (split, initial model, batches, network), "
        "bars: 95 % bootstrap intervals of the mean.",
        "Open diamonds: independent code on splits of its own. 187 hospitals: a committee of 31 "
        "are replicas of the ledger, elsewhere all are.",
        "Mean local: each hospital's own model on its own test rows. Own model: the same, all test "
        "rows together, where each country's base rate helps.",
    )
    return drawing


def _seeds(table: Table) -> str:
    count = table[0]["seeds"]
    return "1 seed" if count == 1 else f"{count} seeds"
