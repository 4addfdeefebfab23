"""Four real hospitals learn to predict heart disease: do we get the numbers that were published?

The benchmark is Fed-Heart-Disease of FLamby (Ogier du Terrail et al., NeurIPS 2022 Datasets and
Benchmarks; commit edacf54d of owkin/FLamby): Cleveland, Hungary, Switzerland and VA Long Beach,
logistic regression, FedAvg, 15 rounds of 100 batches of 4 records, seeds 42 to 46. We run it on the
ledger path, with the published learning rate and with a ten times larger one.

The mean accuracy of four sites is a weak yardstick: whoever always predicts a site's more frequent
class reaches 72.1. So AUROC, log loss and Brier score over all test rows stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import estimate
from experiments.stem import Run, Table, Verdict

CLAIM = (
    "Four real hospitals on the ledger path reach the published accuracy of FedAvg on "
    "Fed-Heart-Disease (68.5 ± 2.8 % at learning rate 0.001), and 72–74 % at 0.01"
)
VARIANTS = ("lr 0.001", "lr 0.01")
KEYS = ("variant", "scope", "metric", "round")

SITES = {
    "hospital-00": "Cleveland",
    "hospital-01": "Hungary",
    "hospital-02": "Switzerland",
    "hospital-03": "Long Beach",
}
TEST_ROWS = {"hospital-00": 104, "hospital-01": 89, "hospital-02": 16, "hospital-03": 45}
SCOPES = (*SITES, "mean", "pooled")
MODEL_METRICS = ("accuracy", "auroc", "log_loss", "brier")
LEDGER_METRICS = ("updates_accepted", "transactions", "consensus_p50_us", "duration_us")

PUBLISHED = {  # FLamby, FedAvg, lr 0.001: accuracy in per cent, mean and standard deviation
    "hospital-00": (73.1, 2.2),
    "hospital-01": (71.9, 3.3),
    "hospital-02": (65.0, 11.4),
    "hospital-03": (64.0, 5.1),
    "mean": (68.5, 2.8),
}
INDEPENDENT = {  # Independent code on the same splits, FedAvg, lr 0.01: accuracy in per cent
    "hospital-00": 77.1,
    "hospital-01": 76.4,
    "hospital-02": 73.8,
    "hospital-03": 62.2,
    "mean": 72.4,
}
INDEPENDENT_AUROC = 0.806
"""The same code, lr 0.01, over all test rows."""
MAJORITY = {  # Every test row gets its site's more frequent class: accuracy in per cent
    "hospital-00": 53.8,
    "hospital-01": 62.9,
    "hospital-02": 93.8,
    "hospital-03": 77.8,
    "mean": 72.1,
}

LOOKS = {"lr 0.001": (style.BLUE, "o"), "lr 0.01": (style.VERMILION, "s")}


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds with their intervals, by variant, scope, metric and round."""
    values: dict[tuple[str, str, str, int], list[float]] = {}
    for run in sorted(runs, key=lambda run: (VARIANTS.index(run.labels["variant"]), run.seed)):
        for row in run.rows:
            wanted = LEDGER_METRICS if row["scope"] == "round" else MODEL_METRICS
            if row["metric"] in wanted:
                key = (run.labels["variant"], row["scope"], row["metric"], row["round"])
                values.setdefault(key, []).append(row["value"])
    rows: Table = []
    for key in sorted(values, key=lambda k: (VARIANTS.index(k[0]), k[1:])):
        found = estimate(values[key], "heart_disease", *key)
        named = dict(zip(KEYS, key, strict=True))
        numbers = {"mean": found.mean, "sd": found.sd, "low": found.low, "high": found.high}
        rows.append({**named, "n": found.n, **numbers})
    return rows


def verdict(table: Table) -> Verdict:
    """Mean accuracy within the published deviation, and between 72 and 74 % at the larger rate."""
    accuracy = {v: 100 * _last(table, v, "mean", "accuracy")["mean"] for v in VARIANTS}
    low, high = (accuracy[variant] for variant in VARIANTS)
    auroc = {v: _last(table, v, "pooled", "auroc")["mean"] for v in VARIANTS}
    mean, sd = PUBLISHED["mean"]
    return Verdict(
        abs(low - mean) <= sd and 72 <= high <= 74,
        f"mean accuracy of the four sites is {low:.1f} % at 0.001 (published {mean} ± {sd}) and "
        f"{high:.1f} % at 0.01; AUROC over all test rows is {auroc['lr 0.001']:.3f} and "
        f"{auroc['lr 0.01']:.3f}; always guessing a site's majority has {MAJORITY['mean']} %",
    )


def figure(table: Table) -> Figure:
    """Accuracy and AUROC against round: four sites, then all of them together."""
    drawing = Figure(figsize=(style.PAGE_IN, 4.15))
    grid = drawing.subplots(
        2, 5, sharex=True, sharey="row",
        gridspec_kw={"left": 0.062, "right": 0.848, "bottom": 0.21, "top": 0.84,
                     "wspace": 0.1, "hspace": 0.3},
    )  # fmt: skip
    style.heading(
        drawing,
        "Published and reproduced: heart disease at four hospitals",
        "FedAvg over 15 rounds on the ledger path, logistic regression, no differential privacy",
    )
    for column, scope in enumerate((*SITES, "mean")):
        _draw_accuracy(table, scope, grid[0, column])
    for column, scope in enumerate((*SITES, "pooled")):
        _draw_auroc(table, scope, grid[1, column])
    grid[0, 0].set_ylabel("accuracy (%)")
    grid[0, 0].set_ylim(_floor(table, "accuracy", 100), 100)
    grid[1, 0].set_ylabel("AUROC")
    grid[1, 0].set_ylim(_floor(table, "auroc", 1), 1.0)
    for axes in grid[1]:
        axes.set_xlabel("round")
        axes.set_xticks([0, 5, 10, 15])
        axes.set_xlim(-0.6, 18)
    _label(table, grid[0, -1], grid[1, -1])
    style.caption(
        drawing,
        "Lines: means over 5 seeds (42-46; they set initial model, batches and network). Bands: "
        "95 % bootstrap intervals of the mean. In brackets: test rows.",
        "Black diamonds: published for lr 0.001 (FLamby, NeurIPS 2022), mean ± standard deviation "
        "over seeds. Open squares: independent code on the same",
        "splits, lr 0.01. Dotted: always the site's more frequent class, which is why accuracy "
        "alone says little. Everything but the marks: results of this program.",
    )
    return drawing


def _floor(table: Table, metric: str, scale: float) -> float:
    """A tenth of the full scale that nothing drawn lies below."""
    lowest = min(row["low"] for row in table if row["metric"] == metric)
    return math.floor(10 * lowest) / 10 * scale


def _draw_accuracy(table: Table, scope: str, axes: Axes) -> None:
    _draw_lines(table, scope, "accuracy", 100, axes)
    axes.axhline(MAJORITY[scope], color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    mean, sd = PUBLISHED[scope]
    axes.errorbar(
        16.0, mean, yerr=sd, color=style.INK, marker="D", markersize=3.2, elinewidth=0.8,
        capsize=1.8, capthick=0.8,
    )  # fmt: skip
    _square(axes, INDEPENDENT[scope])
    axes.set_title(_title(scope, "Mean of four"))


def _draw_auroc(table: Table, scope: str, axes: Axes) -> None:
    _draw_lines(table, scope, "auroc", 1, axes)
    if scope == "pooled":
        _square(axes, INDEPENDENT_AUROC)
        axes.set_title(_title(scope, f"All rows ({sum(TEST_ROWS.values())})"))


def _title(scope: str, otherwise: str) -> str:
    return f"{SITES[scope]} ({TEST_ROWS[scope]})" if scope in SITES else otherwise


def _square(axes: Axes, height: float) -> None:
    colour, marker = LOOKS["lr 0.01"]
    axes.plot(17.2, height, marker=marker, color=colour, markerfacecolor="white", markersize=3.6)


def _draw_lines(table: Table, scope: str, metric: str, scale: float, axes: Axes) -> None:
    for variant, (colour, marker) in LOOKS.items():
        rows = _of(table, variant, scope, metric)
        rounds = [row["round"] for row in rows]
        low, mean, high = ([scale * row[c] for row in rows] for c in ("low", "mean", "high"))
        axes.fill_between(rounds, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(rounds, mean, color=colour, marker=marker, markersize=2.0, linewidth=1.0)


def _label(table: Table, accuracy: Axes, auroc: Axes) -> None:
    """Direct labels right of the two panels that hold all sites."""
    ends = {v: 100 * _last(table, v, "mean", "accuracy")["mean"] for v in VARIANTS}
    mean, sd = PUBLISHED["mean"]
    labels = [(ends[v], f"ours, {v}: {ends[v]:.1f}", LOOKS[v][0]) for v in VARIANTS]
    labels += [
        (mean, f"published: {mean} ± {sd}", style.INK),
        (INDEPENDENT["mean"], f"other code: {INDEPENDENT['mean']}", LOOKS["lr 0.01"][0]),
        (MAJORITY["mean"], f"majority: {MAJORITY['mean']}", style.MUTED),
    ]
    style.label_ends(accuracy, labels, size=6.5)
    ends = {v: _last(table, v, "pooled", "auroc")["mean"] for v in VARIANTS}
    labels = [(ends[v], f"ours, {v}: {ends[v]:.3f}", LOOKS[v][0]) for v in VARIANTS]
    text = f"other code: {INDEPENDENT_AUROC}"
    labels.append((INDEPENDENT_AUROC - 1e-6, text, LOOKS["lr 0.01"][0]))
    style.label_ends(auroc, labels, size=6.5)


def _of(table: Table, variant: str, scope: str, metric: str) -> Table:
    wanted = (variant, scope, metric)
    rows = [row for row in table if (row["variant"], row["scope"], row["metric"]) == wanted]
    return sorted(rows, key=lambda row: row["round"])


def _last(table: Table, variant: str, scope: str, metric: str) -> dict[str, str | int | float]:
    return _of(table, variant, scope, metric)[-1]
