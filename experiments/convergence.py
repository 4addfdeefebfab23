"""Central, local and federated training, with and without the ledger, round by round.

All methods start from the same model, on the same splits, and take the same number of steps in a
round over all hospitals. AUROC is over all test rows; under local training each row is judged by
the model of its own hospital.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "After the last round the ledger path has the AUROC of FedAvg without a ledger to 0.001, that "
    "of central training to 0.03, and more than hospitals reach alone, however records are dealt"
)
KEYS = ("dealt", "method", "round")

MEASURES = ("auroc", "auprc", "log_loss")
SAME, NEAR = 0.001, 0.03
LOOKS = {
    "central": (style.INK, "-", None),
    "local": (style.MUTED, (0, (1, 1.5)), None),
    "FedAvg": (style.SKY, "-", "s"),
    "FedProx": (style.GREEN, (0, (4, 2)), None),
    "ledger": (style.VERMILION, "-", "o"),
}


def table(runs: Sequence[Run]) -> Table:
    """Metrics over all test rows after each round, and the virtual time of each."""
    rows: Table = []
    for labels, members in by_point(runs):
        dealt, method = labels["dealt"], labels["method"]
        for number in sorted({n for run in members for n, _ in run.series("pooled", "auroc")}):
            key = (dealt, method, number)
            found = {
                name: [dict(run.series("pooled", name))[number] for run in members]
                for name in MEASURES
            }
            found["virtual_s"] = [_seconds(run, number) for run in members]
            rows.append(
                {
                    "dealt": dealt,
                    "method": method,
                    "round": number,
                    "seeds": len(members),
                    **{
                        k: v
                        for name, values in found.items()
                        for k, v in spread(name, values, *key).items()
                    },
                }
            )
    return rows


def _seconds(run: Run, number: int) -> float:
    (at_us,) = {
        row["t_us"]
        for row in run.rows
        if (row["scope"], row["metric"], row["round"]) == ("pooled", "auroc", number)
    }
    return at_us / 1e6


def _last(table: Table, dealt: str, method: str) -> float:
    rows = [row for row in table if (row["dealt"], row["method"]) == (dealt, method)]
    return max(rows, key=lambda row: row["round"])["auroc"]


def verdict(table: Table) -> Verdict:
    """The three comparisons of the claim, at their worst over the ways of dealing."""
    ways = list(dict.fromkeys(row["dealt"] for row in table))
    ledger = {dealt: _last(table, dealt, "ledger") for dealt in ways}
    same = max(abs(ledger[d] - _last(table, d, "FedAvg")) for d in ways)
    behind = {d: _last(table, d, "central") - ledger[d] for d in ways}
    ahead = {d: ledger[d] - _last(table, d, "local") for d in ways}
    worst, least = max(behind, key=behind.__getitem__), min(ahead, key=ahead.__getitem__)
    return Verdict(
        same <= SAME and behind[worst] <= NEAR and ahead[least] > 0,
        f"ledger and FedAvg differ by at most {same:.4f}; the ledger path is at most "
        f"{behind[worst]:.3f} behind central training ({worst}), and {ahead[least]:+.3f} against "
        f"local training where it gains least ({least})",
    )


def figure(table: Table) -> Figure:
    """AUROC against round for each way of dealing, and against virtual time for the last."""
    ways = list(dict.fromkeys(row["dealt"] for row in table))
    drawing = Figure(figsize=(style.PAGE_IN, 2.75))
    panels = drawing.subplots(
        1, len(ways) + 1, squeeze=False, sharey=True,
        gridspec_kw={"left": 0.065, "right": 0.985, "bottom": 0.33, "top": 0.78, "wspace": 0.1},
    )[0]  # fmt: skip
    style.heading(
        drawing,
        "What a federation learns, with and without the ledger: heart disease",
        "Four hospitals, logistic regression without differential privacy; the same splits and "
        "steps for all",
    )
    for axes, dealt in zip(panels, ways, strict=False):
        _draw(axes, table, dealt, "round")
        axes.set_title(f"Records dealt {dealt}" if dealt == "by site" else f"Records {dealt}")
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _draw(panels[-1], table, ways[0], "virtual_s")
    panels[-1].set_title(f"The same in time, {ways[0]}")
    panels[-1].set_xlabel("virtual time (s)")
    panels[0].set_ylabel("AUROC")
    handles, labels = panels[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.055, 0.105), ncols=5)
    seeds = table[0]["seeds"]
    style.caption(
        drawing,
        f"Lines: means over {seeds} seeds, which set splits, first model, batches and network. "
        "Bands: 95 % bootstrap intervals of the mean. AUROC over all test rows;",
        "local: each row under its own hospital's model. A central round takes as many steps as "
        "all hospitals together, one after the other.",
    )
    return drawing


def _draw(axes: Axes, table: Table, dealt: str, against: str) -> None:
    for method, (colour, line, marker) in LOOKS.items():
        rows = [row for row in table if (row["dealt"], row["method"]) == (dealt, method)]
        rows.sort(key=lambda row: row["round"])
        x = [row[against] for row in rows]
        low, mean, high = ([row[f"auroc{end}"] for row in rows] for end in ("_low", "", "_high"))
        axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(
            x, mean, color=colour, linestyle=line, marker=marker, markersize=2.6, label=method
        )
