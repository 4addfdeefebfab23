"""Byzantine replicas against poisoned hospitals: which guarantee ends where.

Consensus answers for order and progress while at most f replicas are Byzantine, the aggregation
rule for the model while at most as many updates are poisoned as it was told. The two are different
people: a replica that lies about the order may train honestly, and the other way round.

A run is *safe* when no two honest replicas decide or execute different things, and *live* when all
of its rounds end with an aggregate. A run ends at the first thing that it may not do; the AUROC is
then that of no model, and left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "While at most 2 of 7 replicas are Byzantine and at most 2 hospitals poisoned, every run ends, "
    "no honest ledgers differ and the AUROC is within 0.05 of the clean one; a third silent "
    "replica ends liveness, a third lying one safety, a third poisoned hospital the model, always"
)
KEYS = ("byzantine", "replicas", "poisoned")
BREAKS = True

HOSPITALS, TOLERATED = 7, 2
"""f of seven replicas, and how many liars the aggregation rule is told to expect."""
KEPT = 0.05
"""How much AUROC may be lost while a model counts as kept."""
STANDSTILL = "liveness"
"""What a run names when it moves no more; whatever else it names is a matter of safety."""


def measure(run: Run) -> dict[str, Any]:
    """Whether a run was safe, whether it was live, and the AUROC of its last model if both."""
    from simulation.runs.artifacts import read_trace

    safe = run.broken is None or run.broken.startswith(STANDSTILL)
    trace = list(read_trace(run.directory))
    outcomes = [row["outcome"] for row in trace if row["event"] == "round_closed"]
    assert run.experiment is not None
    live = run.broken is None and outcomes == ["aggregated"] * run.experiment.federation.rounds
    auroc = run.last("pooled", "auroc") if live else None
    return {"safe": safe, "live": live, "auroc": auroc}


def table(runs: Sequence[Run]) -> Table:
    """One row for each point; of the AUROC the mean over the runs that ended, if all did."""
    rows: Table = []
    for labels, members in by_point(runs):
        how, _, replicas = str(labels["byzantine"]).rpartition(" ")
        percent = int(str(labels["poisoned"]).split()[0])
        key = (how, int(replicas), HOSPITALS * percent // 100)
        found = [run.measured for run in members]
        auroc: Mapping[str, Any] = dict.fromkeys(("auroc", "auroc_low", "auroc_high"), "none")
        if all(one["live"] for one in found):
            auroc = spread("auroc", [one["auroc"] for one in found], *key)
        rows.append(
            {
                **dict(zip(KEYS, key, strict=True)),
                "seeds": len(members),
                "safe": sum(one["safe"] for one in found) / len(found),
                "live": sum(one["live"] for one in found) / len(found),
                **auroc,
            }
        )
    return rows


# ---- what the table says ------------------------------------------------------------------------


def _lost(table: Table, row: Mapping[str, Any]) -> float | None:
    """AUROC lost against the run in which nobody is dishonest; none without a model."""
    (clean,) = [r for r in table if r["replicas"] == 0 and r["poisoned"] == 0]
    return None if row["auroc"] == "none" else clean["auroc"] - row["auroc"]


def _kept(table: Table, row: Mapping[str, Any]) -> bool:
    lost = _lost(table, row)
    return lost is not None and lost <= KEPT


def verdict(table: Table) -> Verdict:
    """All three guarantees inside the bounds, and each one's end just outside its own."""
    inside = [r for r in table if max(r["replicas"], r["poisoned"]) <= TOLERATED]
    whole = [r for r in inside if r["safe"] == r["live"] == 1 and _kept(table, r)]
    silent, lying = (
        [r for r in table if r["byzantine"] == how and r["replicas"] > TOLERATED]
        for how in ("silent", "lying")
    )
    still = [r for r in silent if r["live"] == 0 and r["safe"] == 1]
    split = [r for r in lying if r["safe"] == 0]
    poisoned = [r for r in table if r["poisoned"] > TOLERATED >= r["replicas"]]
    spoilt = [r for r in poisoned if not _kept(table, r)]
    worst = max((lost for r in inside if (lost := _lost(table, r)) is not None), default=0.0)
    beyond = [lost for r in poisoned if (lost := _lost(table, r)) is not None]
    return Verdict(
        (len(whole), len(still), len(split), len(spoilt))
        == (len(inside), len(silent), len(lying), len(poisoned)),
        f"within the bounds {len(whole)} of {len(inside)} points are safe, live and lose at most "
        f"{KEPT} AUROC (the worst {worst:.3f}); with {TOLERATED + 1} silent replicas "
        f"{len(still)} of {len(silent)} stand still and stay safe, with {TOLERATED + 1} lying "
        f"{len(split)} of {len(lying)} have ledgers that differ; with {TOLERATED + 1} poisoned "
        f"hospitals {len(spoilt)} of {len(poisoned)} lose more than {KEPT} "
        f"({min(beyond, default=0.0):.3f} to {max(beyond, default=0.0):.3f})",
    )


# ---- the figure ---------------------------------------------------------------------------------

WHOLE, SPOILT, STILL, SPLIT = "#d6e8f5", "#f7dfae", "#e2e2e2", "#f3c4ae"
"""Grounds of cells, light enough for the text on them: tints of the project's colours."""


def figure(table: Table) -> Figure:
    """Two grids, silent and lying replicas: what is left at each point."""
    drawing = Figure(figsize=(style.PAGE_IN, 3.0))
    panels = drawing.subplots(
        1, 2,
        gridspec_kw={"left": 0.075, "right": 0.985, "bottom": 0.29, "top": 0.8, "wspace": 0.14},
    )  # fmt: skip
    style.heading(
        drawing,
        "Where each guarantee ends",
        "PBFT between seven hospitals (f = 2), updates averaged by a mean that is trimmed by 2",
    )
    for axes, how in zip(panels, ("silent", "lying"), strict=True):
        _grid(axes, table, [row for row in table if row["byzantine"] in ("none", how)])
        axes.set_title(f"Byzantine replicas are {how}")
        axes.set_xlabel("poisoned hospitals of 7")
    panels[0].set_ylabel("Byzantine replicas of 7")
    style.caption(
        drawing,
        f"{table[0]['seeds']} seeds a cell, which choose who is poisoned. Numbers: mean AUROC "
        "after the last round, below it the 95 % bootstrap interval of the mean. Blue: safe,",
        f"live, and at most {KEPT} below the clean run; yellow: the model is lost; grey: no round "
        "ends any more; red: honest ledgers differ. Outlined: what is promised.",
        "Silent replicas send nothing. Lying ones propose two batches and vote for both. Poisoned "
        "hospitals send ten times the opposite of what they have learnt.",
    )
    return drawing


def _grid(axes: Axes, table: Table, rows: Table) -> None:
    counts = sorted({row["replicas"] for row in rows} | {row["poisoned"] for row in rows})
    for row in rows:
        ground, text = _cell(table, row)
        x, y = row["poisoned"], row["replicas"]
        axes.add_patch(
            Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=ground, edgecolor="white", linewidth=1.2)
        )
        axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color=style.INK)
    edge = TOLERATED + 0.5
    axes.add_patch(
        Rectangle((-0.5, -0.5), edge + 0.5, edge + 0.5, fill=False, edgecolor=style.BLUE,
                  linewidth=1.6, zorder=3,
                  clip_on=False)
    )  # fmt: skip
    axes.set_xlim(-0.5, counts[-1] + 0.5)
    axes.set_ylim(-0.5, counts[-1] + 0.5)
    axes.set_xticks(counts)
    axes.set_yticks(counts)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)


def _cell(table: Table, row: Mapping[str, Any]) -> tuple[str, str]:
    """The ground of a cell, and what stands in it."""
    if row["safe"] < 1:
        return SPLIT, "ledgers\ndiffer" + _share(1 - row["safe"])
    if row["live"] < 1:
        return STILL, "stands\nstill" + _share(1 - row["live"])
    text = f"{row['auroc']:.3f}\n({row['auroc_low']:.3f}–{row['auroc_high']:.3f})"
    return (WHOLE if _kept(table, row) else SPOILT), text


def _share(share: float) -> str:
    return "" if share == 1 else f"\nin {share:.0%}"
