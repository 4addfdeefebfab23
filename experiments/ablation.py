"""What each part of the system gives and costs: one taken away at a time (table T3).

Six attacks are carried out on every system. Two are on the order: whoever orders stops, or tells
two halves different things; they succeed when a round of the run is not aggregated, or when honest
copies of the ledger contradict each other. One hospital copies another's update; it succeeds when
the copy is accepted. The coordinator changes an update or leaves one out; it succeeds when the
false aggregate stands. And somebody who holds an update reads records back from it
(`simulation.learning.inversion`); it succeeds for those records that come out. The switches are
parameters that the program has anyway; `configs/ablation.yaml` says what each leaves standing.
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
    "With consensus, commit–reveal, verification and DP none of six attacks ever succeeds, and "
    "each part that is taken away lets one through that the other three do not stop"
)
KEYS = ("system",)
BREAKS = True

FULL, NOTHING = "all parts", "none of them"
ATTACKS = {
    "stop": "orderer\nstops",
    "fork": "orderer\nforks",
    "copy": "update\ncopied",
    "change": "update\nchanged",
    "omit": "update\nleft out",
    "read": "records\nread back",
}
"""The attacks, and what they are called above the table."""
REPEATS = 20
"""Batches that the inversion is tried on, for each seed."""


# ---- one run ------------------------------------------------------------------------------------


def measure(run: Run) -> dict[str, float]:
    """The share of a run's attempts that succeed; without an attacker, of records read back."""
    from simulation.runs.artifacts import read_trace

    attack = run.labels["attack"]
    if attack == "none":
        return {"read": _read_back(run)}
    if run.broken is not None:
        return {attack: 1.0}
    trace = list(read_trace(run.directory))
    if attack in ("stop", "fork"):
        outcomes = [row["outcome"] for row in trace if row["event"] == "round_closed"]
        assert run.experiment is not None
        whole = outcomes == ["aggregated"] * run.experiment.federation.rounds
        return {attack: float(not whole)}
    attempts = [row for row in trace if row["event"] == "attacked"]
    return {attack: sum(_succeeds(trace, row) for row in attempts) / len(attempts)}


def _succeeds(trace: Sequence[Mapping[str, Any]], attempt: Mapping[str, Any]) -> bool:
    number, attacker = attempt["round"], attempt["node"]
    if attempt["kind"] == "copycat":
        return any(
            row["event"] == "update_checked"
            and row["accepted"]
            and (row["round"], row["hospital"], row["by"]) == (number, attacker, HOSPITALS)
            for row in trace
        )
    return not any(r["event"] == "aggregate_refused" and r["round"] == number for r in trace)


HOSPITALS = 4
"""There are so many, and the coordinator's node has this number."""


def _read_back(run: Run) -> float:
    """Of the records in batches of the first hospital, those that its gradients give away."""
    from simulation.learning.inversion import invert
    from simulation.learning.params import DpSgdParams
    from simulation.world import make_setting

    experiment = run.experiment
    assert experiment is not None
    assert experiment.model is not None
    setting = make_setting(experiment, run.seed)
    records, batch = setting.trainer_of(0).shard, experiment.training.batch_size
    setting.close()
    privacy, sigma = None, 0.0
    if isinstance(experiment.privacy, DpSgdParams):
        privacy = experiment.privacy
        assert privacy.noise_multiplier is not None, "the configuration gives it"
        sigma = privacy.noise_multiplier
    return invert(records, experiment.model, batch, privacy, sigma, REPEATS, run.seed).read


# ---- all runs -----------------------------------------------------------------------------------


def table(runs: Sequence[Run]) -> Table:
    """One row for each system: AUROC and costs without an attacker, and what attacks reach."""
    points = {(labels["system"], labels["attack"]): members for labels, members in by_point(runs)}
    rows: Table = []
    for system in dict.fromkeys(system for system, _ in points):
        clean = points[system, "none"]
        row: dict[str, str | int | float] = {
            "system": system,
            "seeds": len(clean),
            **spread("auroc", [run.last("pooled", "auroc") for run in clean], system),
            **spread("seconds", [seconds_per_round(run) for run in clean], system),
            **spread("bytes", [bytes_per_round(run) for run in clean], system),
        }
        for attack in ATTACKS:
            members = clean if attack == "read" else points.get((system, attack), [])
            shares = [run.measured[attack] for run in members]
            row[attack] = sum(shares) / len(shares) if shares else "none"
        rows.append(row)
    return rows


def _through(row: Mapping[str, Any]) -> list[str]:
    """The attacks that succeed at least once on a system."""
    return [attack for attack in ATTACKS if row[attack] != "none" and row[attack] > 0]


def verdict(table: Table) -> Verdict:
    """Nothing gets through all parts together; something does without each of them."""
    rows = {row["system"]: row for row in table}
    whole, parts = rows[FULL], [row for row in table if row["system"] not in (FULL, NOTHING)]
    found = {row["system"]: _through(row) for row in parts}
    said = ", ".join(
        f"{system}: " + (" and ".join(f"{a} {rows[system][a]:.0%}" for a in through) or "nothing")
        for system, through in found.items()
    )
    return Verdict(
        not _through(whole) and all(found.values()),
        f"with all parts {len(_through(whole))} of {len(ATTACKS)} attacks succeed; {said}; a round "
        f"of all parts takes {whole['seconds'] / rows[NOTHING]['seconds']:.1f} times as long and "
        f"sends {whole['bytes'] / rows[NOTHING]['bytes']:.0f} times as much as one without any, "
        f"and the AUROC is {whole['auroc']:.3f} in place of {rows[NOTHING]['auroc']:.3f}",
    )


# ---- the table as a figure ----------------------------------------------------------------------

_SYSTEM, _AUROC, _SECONDS, _BYTES, _FIRST, _STEP = 0.0, 0.315, 0.4, 0.475, 0.575, 0.085
_SMALL = 5.4


def figure(table: Table) -> Figure:
    """Table T3: what each system learns, what a round of it costs, which attacks succeed."""
    drawing = Figure(figsize=(style.PAGE_IN, 1.5 + 0.24 * len(table)))
    axes = style.table_axes(drawing, -1.2, len(table) - 0.4, above_in=0.48, below_in=0.5)
    style.heading(
        drawing,
        "What each part gives, and what it costs",
        "Four hospitals, one step a round; right: share of attempts that succeed",
    )
    heads = [(_AUROC, "AUROC"), (_SECONDS, "s a\nround"), (_BYTES, "kB a\nround")]
    heads += [(_FIRST + k * _STEP, name) for k, name in enumerate(ATTACKS.values())]
    for x, text in heads:
        axes.text(x, -0.62, text, ha="right", va="bottom", fontsize=7, fontweight="bold")
    axes.axhline(-0.5, color=style.INK, linewidth=0.8)
    for y, row in enumerate(table):
        if row["system"] == NOTHING:
            axes.axhline(y - 0.5, color=style.FAINT, linewidth=0.6)
        _draw_row(axes, row, y)
    style.caption(
        drawing,
        f"{table[0]['seeds']} seeds (splits, first model, batches, noise, network); small: 95 % "
        "bootstrap interval of the mean. Without commit–reveal there is nothing to recompute,",
        "so verification goes with it. No verification: a sum in floating point, by the "
        "coordinator alone. s, kB: virtual time, and all that nodes send.",
        "–: nothing to attack. Records read back: from the gradients of batches of 16, by dividing "
        "weight gradients by bias gradients.",
    )
    return drawing


def _draw_row(axes: Axes, row: Mapping[str, Any], y: float) -> None:
    look = {"va": "center", "fontsize": 7, "color": style.INK}
    axes.text(
        _SYSTEM, y, row["system"], fontweight="bold" if row["system"] == FULL else None, **look
    )
    axes.text(_AUROC - 0.085, y, f"{row['auroc']:.3f}", ha="right", **look)
    ends = f"{row['auroc_low']:.3f}–{row['auroc_high']:.3f}"
    axes.text(_AUROC, y, ends, ha="right", va="center", fontsize=_SMALL, color=style.MUTED)
    axes.text(_SECONDS, y, f"{row['seconds']:.2f}", ha="right", **look)
    axes.text(_BYTES, y, f"{row['bytes'] / 1000:,.0f}", ha="right", **look)
    for place, attack in enumerate(ATTACKS):
        share, x = row[attack], _FIRST + place * _STEP
        if share == "none":
            axes.text(x, y, "–", ha="right", **look)
            continue
        colour, weight = (style.VERMILION, "bold") if share > 0 else (style.BLUE, "normal")
        axes.text(
            x, y, f"{share:.0%}", ha="right", va="center", fontsize=7, color=colour,
            fontweight=weight,
        )  # fmt: skip
