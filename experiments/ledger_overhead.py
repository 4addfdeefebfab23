"""What the ledger costs a federation: virtual time of a round, by phase.

The phases of a round are those of `simulation.trace.metrics`: means over hospitals, with waiting
for slower ones as the rest, so that they add up to the round's duration. Under ``commit_reveal``
*consensus* holds the opening of the round, the commitments, the seal and the reveals; *upload* the
way of an update to those who check and sign for it; *aggregate* the replicas' own computation of
the result, their word on it, and the ledger's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point
from simulation.base.units import US_PER_S
from simulation.trace.metrics import PHASES

CLAIM = (
    "What the ledger adds to a round grows by less than a factor of three from 4 to 64 hospitals, "
    "and commit–reveal costs less than twice what bare digests cost"
)
KEYS = ("task", "ledger")

LEDGERS = {"none": "none", "hash_only": "hash only", "commit_reveal": "commit–reveal"}
COLOURS = {
    "download": style.SKY,
    "train": style.GREEN,
    "consensus": style.VERMILION,
    "upload": style.BLUE,
    "wait": style.FAINT,
    "aggregate": style.ORANGE,
}
SIZES = "parameters"
"""What the names of the tasks that vary the model end with; the others vary the hospitals."""


def table(runs: Sequence[Run]) -> Table:
    """Seconds of a round and of each of its phases: means over rounds, then over seeds."""
    rows: Table = []
    for labels, members in by_point(runs):
        task, ledger = labels["task"], labels["ledger"]
        parts = {phase: _mean([_seconds(run, phase) for run in members]) for phase in PHASES}
        rows.append(
            {
                "task": task,
                "ledger": ledger,
                "seeds": len(members),
                **spread("seconds", [_seconds(run, "duration") for run in members], task, ledger),
                **parts,
            }
        )
    return rows


def _seconds(run: Run, phase: str) -> float:
    """Mean over the rounds of a run; a phase that does not occur takes no time."""
    found = [value for _, value in run.series("round", f"{phase}_us")]
    return _mean(found) / US_PER_S if found else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def verdict(table: Table) -> Verdict:
    """The added seconds of the tasks that vary the hospitals, first against last."""
    added = {
        (row["task"], row["ledger"]): float(row["seconds"])
        - float(_of(table, row["task"], "none")["seconds"])
        for row in table
        if row["ledger"] != "none"
    }
    tasks = [row["task"] for row in table if row["ledger"] == "none"]
    sizes = [task for task in tasks if not str(task).endswith(SIZES)]
    first, last = (added[task, "commit_reveal"] for task in (sizes[0], sizes[-1]))
    ratio = max(added[task, "commit_reveal"] / added[task, "hash_only"] for task in tasks)
    whole = [
        float(_of(table, task, "commit_reveal")["seconds"])
        / float(_of(table, task, "none")["seconds"])
        for task in (sizes[0], sizes[-1])
    ]
    return Verdict(
        last < 3 * first and ratio < 2,
        f"commit–reveal adds {first:.2f} s to a round at {sizes[0]} and {last:.2f} s at "
        f"{sizes[-1]}, at most {ratio:.2f} times what bare digests add; the round takes "
        f"{whole[0]:.1f} and {whole[1]:.1f} times as long as without a ledger",
    )


def _of(table: Table, task: Any, ledger: str) -> Mapping[str, Any]:
    return next(row for row in table if (row["task"], row["ledger"]) == (task, ledger))


def figure(table: Table) -> Figure:
    """Seconds of a round, stacked by phase: by hospitals, and by size of the model."""
    drawing = Figure(figsize=(style.PAGE_IN, 3.1))
    panels = drawing.subplots(
        1, 2,
        gridspec_kw={"left": 0.07, "right": 0.985, "bottom": 0.37, "top": 0.76, "wspace": 0.16},
    )  # fmt: skip
    style.heading(
        drawing,
        "What the ledger costs a round",
        "Virtual seconds by phase; PBFT among hospitals of one country, 20–40 ms round trip",
    )
    tasks = list(dict.fromkeys(row["task"] for row in table))
    groups = (
        ("By hospitals (MLP, 513 parameters)", [t for t in tasks if not t.endswith(SIZES)]),
        ("By size of the model (16 hospitals)", [t for t in tasks if t.endswith(SIZES)]),
    )
    for axes, (title, chosen) in zip(panels, groups, strict=True):
        _draw_bars(axes, table, chosen)
        axes.set_title(title)
    panels[0].set_ylabel("seconds a round")
    handles, names = panels[0].get_legend_handles_labels()
    drawing.legend(handles, names, ncols=len(PHASES), loc="upper right", bbox_to_anchor=(0.99, 0.9))
    style.caption(
        drawing,
        f"Bars: means over {table[0]['seeds']} seeds and two rounds; from left to right no ledger, "
        "bare digests, commit–reveal. Thin lines: 95 % bootstrap",
        "intervals of the whole. Consensus: waiting for the ledger before, between and after other "
        "phases. Every hospital takes forty steps of SGD;",
        "training time is modelled, not measured.",
    )
    return drawing


def _draw_bars(axes: Axes, table: Table, tasks: Sequence[str]) -> None:
    width, ticks, names = 0.26, [], []
    for place, task in enumerate(tasks):
        for k, (ledger, name) in enumerate(LEDGERS.items()):
            row, x, low = _of(table, task, ledger), place + (k - 1) * (width + 0.03), 0.0
            for phase in PHASES:
                label = phase if place == k == 0 else None
                height = float(row[phase])
                axes.bar(x, height, width, bottom=low, color=COLOURS[phase], label=label)
                low += height
            axes.plot(
                [x, x], [row["seconds_low"], row["seconds_high"]], color=style.INK, linewidth=0.7
            )
            ticks.append(x)
            names.append(name)
        axes.text(
            place, -0.4, task, transform=axes.get_xaxis_transform(), ha="center", va="top",
            fontsize=7, fontweight="bold",
        )  # fmt: skip
    axes.set_xticks(ticks, names, rotation=25, ha="right", rotation_mode="anchor", fontsize=6)
