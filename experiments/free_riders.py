"""Why commit before reveal: copies of another's update under two kinds of ledger.

A copycat does no training that counts: as soon as an update, or where updates are not yet out a
commitment, of an honest hospital reaches it, it commits to the same. A copy is *accepted* when the
coordinator has held it against its own ledger copy and taken it into the round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point
from simulation.base.ids import hospital_name

CLAIM = (
    "With bare digests on the ledger every copy of another's update is accepted; with commitments "
    "that are salted, bound to their hospital and sealed before the reveal, none is"
)
KEYS = ("ledger", "copycats")

NAMES = {"hash_only": "hash only", "commit_reveal": "commit–reveal"}
LOOKS = {"hash_only": (style.VERMILION, "o"), "commit_reveal": (style.BLUE, "s")}


def measure(run: Run) -> dict[str, Any]:
    """Copies of a run: how many were tried, and how many got into their round."""
    from simulation.runs.artifacts import read_trace

    trace = list(read_trace(run.directory))
    tried = {(row["round"], row["node"]) for row in trace if row["event"] == "attacked"}
    assert run.experiment is not None
    coordinator = run.experiment.hospitals
    taken = {
        (row["round"], row["hospital"])
        for row in trace
        if row["event"] == "update_checked" and row["by"] == coordinator and row["accepted"]
    }
    copycats = {hospital_name(node) for _, node in tried}
    return {"tried": len(tried), "accepted": len(tried & taken), "copycats": sorted(copycats)}


def table(runs: Sequence[Run]) -> Table:
    """One row for each kind of ledger and share of copycats."""
    rows: Table = []
    for labels, members in by_point(runs):
        ledger, percent = labels["ledger"], int(labels["copycats"].split()[0])
        tried = sum(run.measured["tried"] for run in members)
        accepted = sum(run.measured["accepted"] for run in members)
        updates = [run.last("round", "updates_accepted") for run in members]
        auroc = [run.last("pooled", "auroc") for run in members]
        rows.append(
            {
                "ledger": ledger,
                "copycats": percent,
                "seeds": len(members),
                "copies": tried,
                "accepted": accepted / tried if tried else 0.0,
                **spread("updates", updates, ledger, percent),
                **spread("auroc", auroc, ledger, percent),
            }
        )
    return rows


def verdict(table: Table) -> Verdict:
    """All copies accepted under ``hash_only`` and none under ``commit_reveal``, and some tried."""
    shares = {
        ledger: [(row["copies"], row["accepted"]) for row in table if row["ledger"] == ledger]
        for ledger in NAMES
    }
    tried = {ledger: sum(int(n) for n, _ in rows) for ledger, rows in shares.items()}
    won = {ledger: sum(n * float(share) for n, share in rows) for ledger, rows in shares.items()}
    holds = (
        min(tried.values()) > 0
        and round(won["hash_only"]) == tried["hash_only"]
        and round(won["commit_reveal"]) == 0
    )
    return Verdict(
        holds,
        f"{won['hash_only']:.0f} of {tried['hash_only']} copies are accepted under hash_only and "
        f"{won['commit_reveal']:.0f} of {tried['commit_reveal']} under commit_reveal",
    )


def figure(table: Table) -> Figure:
    """Accepted copies, updates in the aggregate and AUROC against the share of copycats."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.7))
    panels = drawing.subplots(
        1, 3,
        gridspec_kw={"left": 0.07, "right": 0.985, "bottom": 0.345, "top": 0.77, "wspace": 0.28},
    )  # fmt: skip
    style.heading(
        drawing,
        "Why commit before reveal",
        "Copycats claim another hospital's update as their own; ten hospitals, two rounds",
    )
    for ledger, name in NAMES.items():
        rows = [row for row in table if row["ledger"] == ledger]
        colour, marker = LOOKS[ledger]
        look = {"color": colour, "marker": marker, "label": name}
        tried = [row for row in rows if row["copies"]]
        panels[0].plot(
            [row["copycats"] for row in tried], [100 * row["accepted"] for row in tried], **look
        )
        style.interval_line(panels[1], rows, "copycats", "updates", **look)
        style.interval_line(panels[2], rows, "copycats", "auroc", **look)
    panels[0].set_title("Copies accepted (%)")
    panels[0].set_ylim(-5, 105)
    panels[0].legend(loc="center right")
    panels[1].set_title("Updates in the aggregate")
    panels[1].set_ylim(0, 10.5)
    panels[2].set_title("AUROC of the last model")
    for axes in panels:
        axes.set_xlabel("copycats (% of hospitals)")
        axes.set_xlim(-2, 52)
    style.caption(
        drawing,
        f"Points: means over {table[0]['seeds']} seeds, which choose the copycats (a larger share "
        "contains a smaller one). Bars: 95 % bootstrap intervals of the mean.",
        "Under hash only a copy counts in the average like the work that it was copied from; under "
        "commit–reveal its round goes on without it.",
        "Breast cancer records, dealt by label with Dirichlet α = 0.5.",
    )
    return drawing
