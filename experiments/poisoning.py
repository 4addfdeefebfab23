"""Poisoned hospitals against robust rules: what is left of the model, and who gets through.

Every rule is told to expect two liars. With two attackers a rule is asked for what it promises,
with five of eleven for what it does not. A backdoor is judged by how often its mark brings about
its target; all other attacks by the AUROC that they leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "Told to expect 2 liars of 11, Multi-Krum and Bulyan keep the AUROC within 0.05 of the run "
    "without attackers when there are 2, whatever the attack; with 5 no rule does"
)
KEYS = ("rule", "attack", "attackers")

HOSPITALS = 11
KEPT = 0.05
"""How much AUROC may be lost while a rule counts as holding."""
PROMISED = ("Multi-Krum", "Bulyan")
EXPECTED = 2
"""Liars that the rules are told to expect."""
BACKDOOR = "backdoor"
SUCCESS = 0.5
"""From this attack success on a backdoor counts as planted."""


def table(runs: Sequence[Run]) -> Table:
    """AUROC and attack success after the last round, means over seeds with their intervals."""
    rows: Table = []
    for labels, members in by_point(runs):
        attack, _, attackers = str(labels["attack"]).rpartition(" ")
        key = (labels["rule"], attack, attackers)
        auroc = [run.last("pooled", "auroc") for run in members]
        success = [_success(run, attack) for run in members]
        rows.append(
            {
                "rule": labels["rule"],
                "attack": attack,
                "attackers": int(attackers),
                "seeds": len(members),
                **spread("auroc", auroc, *key),
                **spread("attack_success", success, *key),
            }
        )
    return rows


def _success(run: Run, attack: str) -> float:
    """Of a backdoor; other attacks have no target of their own, and none is counted for them."""
    return run.last("pooled", "attack_success") if attack == BACKDOOR else 0.0


def _lost(table: Table, row: dict[str, Any], column: str = "auroc") -> float:
    """AUROC that an attack costs under a rule, against the same rule without attackers."""
    (clean,) = [r for r in table if r["rule"] == row["rule"] and r["attackers"] == 0]
    return clean["auroc"] - row[column]


def _beaten(table: Table, row: dict[str, Any]) -> bool:
    """Whether an attack got through: the model is lost, or the backdoor planted."""
    planted = row["attack"] == BACKDOOR and row["attack_success"] >= SUCCESS
    return planted or _lost(table, row) > KEPT


def verdict(table: Table) -> Verdict:
    """Both halves of the claim, and where a rule fails within what it promises."""
    rows = [row for row in table if row["attackers"] > 0]
    few = [r for r in rows if r["attackers"] <= EXPECTED and r["rule"] in PROMISED]
    worst = max((_lost(table, row) for row in few), default=0.0)
    many = [row for row in rows if row["attackers"] > EXPECTED]
    # A rule has fallen when even the favourable end of the interval says so.
    fallen = {row["rule"] for row in many if _lost(table, row, "auroc_high") > KEPT}
    standing = sorted({row["rule"] for row in many} - fallen)
    within = [
        f"{row['rule']} by {row['attack']}"
        for row in rows
        if row["attackers"] <= EXPECTED and row["rule"] != "mean" and _beaten(table, row)
    ]
    return Verdict(
        worst <= KEPT and not standing,
        f"with {EXPECTED} attackers {' and '.join(PROMISED)} lose at most {worst:.3f}; with more, "
        f"{', '.join(standing) or 'no rule'} may still lose no more than {KEPT}, by the interval "
        f"of its worst case ({_worst(table, many, standing)}); within what they promise "
        f"robust rules are beaten in {len(within)} cases"
        + (f" ({', '.join(within)})" if within else ""),
    )


def _worst(table: Table, many: Sequence[dict[str, Any]], rules: Sequence[str]) -> str:
    """What the worst attack costs each rule, with the ends of its interval."""
    said: list[str] = []
    for rule in rules:
        row = max((r for r in many if r["rule"] == rule), key=lambda r: _lost(table, r))
        ends = (_lost(table, row, f"auroc_{end}") for end in ("high", "low"))
        said.append(f"{_lost(table, row):.3f}, {' to '.join(f'{end:.3f}' for end in ends)}")
    return "; ".join(said) or "none"


def figure(table: Table) -> Figure:
    """AUROC by rule and attack, for few and for many attackers; success of the backdoor."""
    drawing = Figure(figsize=(style.PAGE_IN, 3.1))
    counts = sorted({row["attackers"] for row in table} - {0})
    panels = drawing.subplots(
        1, len(counts) + 1, squeeze=False,
        gridspec_kw={"left": 0.125, "right": 0.985, "bottom": 0.34, "top": 0.8, "wspace": 0.12},
    )[0]  # fmt: skip
    style.heading(
        drawing,
        "Robust rules against poisoned hospitals: heart disease",
        f"{HOSPITALS} hospitals with records alike; every rule is told to expect {EXPECTED} liars",
    )
    for axes, count in zip(panels, counts, strict=False):
        _draw(axes, [r for r in table if r["attackers"] in (0, count)], "auroc")
        axes.set_title(f"AUROC, {count} of {HOSPITALS} attack")
    marked = [row for row in table if row["attack"] == BACKDOOR]
    for count, colour, marker in zip(counts, (style.BLUE, style.VERMILION), "os", strict=False):
        rows = [row for row in marked if row["attackers"] == count]
        panels[-1].plot(
            [row["attack_success"] for row in rows], [row["rule"] for row in rows],
            linestyle="none", marker=marker, color=colour, label=f"{count} attack",
        )  # fmt: skip
    panels[-1].set_title("Success of the backdoor")
    panels[-1].set_xlim(-0.04, 1.04)
    panels[-1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    for axes in panels:
        axes.invert_yaxis()
        axes.grid(visible=True, axis="x")
        axes.tick_params(axis="y", labelleft=axes is panels[0])
    handles, labels = panels[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.11, 0.14), ncols=3)
    seeds = table[0]["seeds"]
    style.caption(
        drawing,
        f"Marks: means over {seeds} seeds, which choose attackers, records, batches and the first "
        "model; bars: 95 % bootstrap intervals of the mean. ALIE and IPM:",
        "attackers know each other's honest updates and no others. Success: share of test "
        "positives that the model calls negative when they carry the mark.",
    )
    return drawing


LOOKS = {
    "none": (style.INK, "|"),
    "label flip": (style.BLUE, "o"),
    "sign flip": (style.ORANGE, "s"),
    "ALIE": (style.VERMILION, "D"),
    "IPM": (style.GREEN, "^"),
    BACKDOOR: (style.PURPLE, "v"),
}


def _draw(axes: Axes, rows: Table, column: str) -> None:
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    attacks = [name for name in LOOKS if any(row["attack"] == name for row in rows)]
    for place, attack in enumerate(attacks):
        colour, marker = LOOKS[attack]
        shift = (place - (len(attacks) - 1) / 2) * 0.11
        for row in (row for row in rows if row["attack"] == attack):
            height = rules.index(row["rule"]) + shift
            axes.plot([row[f"{column}_low"], row[f"{column}_high"]], [height] * 2, color=colour)
        axes.plot(
            [row[column] for row in rows if row["attack"] == attack],
            [rules.index(row["rule"]) + shift for row in rows if row["attack"] == attack],
            linestyle="none", marker=marker, markersize=3.6, color=colour,
            label=attack,
        )  # fmt: skip
    axes.set_yticks(range(len(rules)), rules)
    axes.set_xlim(0, 1)
