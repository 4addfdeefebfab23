"""Attack against defence: what is stopped, what is only seen, and what is neither.

An *attempt* is one attacker in one round (a Byzantine primary, or a set of edits of a ledger file,
is one attempt a run). It is *stopped* when it has no effect: the transaction is refused, the update
is not in the aggregate, the false aggregate does not stand, the lost object is back, the round ends
all the same. A run is *detected* when at least one alarm names the attacker, and *accuses* when one
names somebody honest; the same alarms are counted in the runs without an attacker.

Alarms are what honest participants have: refusals by the contract and by those who check updates,
evidence on the ledger, a changed view, objects that are gone, and the suspicions of screening.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point
from simulation.base.ids import hospital_name
from simulation.base.rng import Streams

CLAIM = (
    "Every attack that the ledger protocol claims to stop is stopped in every attempt, and no "
    "alarm names an honest hospital; poisoning, free-riding, clones and missing noise are not "
    "stopped by it"
)
KEYS = ("case",)

Rows = Sequence[Mapping[str, Any]]
Alarm = tuple[str, str]
"""What is wrong, and with whom."""

TITLES = {
    "replay_own": ("replays its own transaction", "sequence number"),
    "replay_other": ("replays another's transaction", "sequence number"),
    "replay_chain": ("signs for another chain", "chain id in what is signed"),
    "replay_round": ("replays last round's commitment", "round and base root in the hash"),
    "copycat": ("copies another's commitment", "hospital, salt and seal"),
    "equivocate": ("commits twice", "signed pair is evidence"),
    "false_update": ("reveals another update", "holders check the bytes"),
    "false_root": ("reveals another root", "contract recomputes the hash"),
    "withhold": ("withholds after its commitment", "reveal deadline"),
    "overspend": ("commits above its budget of ε", "contract keeps the cap"),
    "primary_equivocates": ("primary proposes two batches", "signed proposals are evidence"),
    "primary_wrong_digest": ("primary's digest is not the batch's", "payload hashed first"),
    "primary_censors": ("primary censors hospitals", "view-change timer"),
    "tamper": ("coordinator changes an update", "replicas recompute"),
    "omit": ("coordinator omits an update", "replicas recompute"),
    "reweigh": ("coordinator changes a weight", "replicas recompute"),
    "vault_loses": ("vault loses objects", "other holders"),
    "vault_alters": ("vault alters objects", "address is a digest"),
    "disk_edited": ("ledger file edited on disk", "header chain, certificates"),
    "poisoned": ("poisons (sign flip × 5), mean", "no defence chosen"),
    "poisoned_median": ("poisons (sign flip × 5), median", "robust aggregation"),
    "clone": ("two hospitals, one update", "near-duplicate test"),
    "clone_disguised": ("the same with 10 % noise", "near-duplicate test"),
    "idle_zero": ("free-rider: no change", "contribution test"),
    "idle_noise": ("free-rider: noise", "contribution test"),
    "idle_last_round": ("free-rider: last round's change", "contribution test"),
    "under_noising": ("adds a tenth of the claimed noise", "audit of the training only"),
}
"""Each row's attack and what is to stop or detect it."""
CLAIMED = tuple(TITLES)[:19]
"""The rows that the protocol claims to stop."""
LONG = (
    "replay_own", "replay_other", "replay_chain", "replay_round", "vault_loses", "vault_alters",
    "idle_last_round",
)  # fmt: skip
CONTROLS = {
    "under_noising": "control_dp",
    "overspend": "control_cap",
    **dict.fromkeys(LONG, "control_long"),
}
"""The runs without the attacker, where they are not ``control``."""
EDITS = 3
"""Random single-bit edits of one ledger file, each audited by itself; a run's attempts."""


# ---- one run ------------------------------------------------------------------------------------


def measure(run: Run) -> dict[str, Any]:
    """Attempts, how many of them were stopped, and the alarms of a run."""
    from simulation.runs.artifacts import read_trace

    if run.labels["case"] == "disk_edited":
        return _edited(run)
    trace = list(read_trace(run.directory))
    attempts = [row for row in trace if row["event"] == "attacked"]
    alarms = sorted({*_alarms(trace), *_evidence(run)})
    attackers = {_name(row["node"]) for row in attempts}
    if run.labels["case"].startswith("primary"):
        attackers, stopped, count = {_name(0)}, int(_all_closed(trace)), 1
    else:
        stopped, count = sum(_stopped(trace, row) for row in attempts), len(attempts)
    return {
        "attempts": count,
        "stopped": stopped,
        "alarms": alarms,
        "detected": any(who in attackers for _, who in alarms),
        "accused": any(who not in attackers for _, who in alarms),
    }


def _stopped(trace: Rows, attempt: Mapping[str, Any]) -> bool:
    number, node = attempt["round"], attempt["node"]
    match attempt["kind"]:
        case "replay" if ":" in attempt["detail"]:
            return not attempt["detail"].endswith(": accepted")
        case "tamper" | "omit" | "reweigh":
            return any(r["event"] == "aggregate_refused" and r["round"] == number for r in trace)
        case "bad_vault":
            lost, back = (
                {
                    (r["round"], r["hospital"])
                    for r in trace
                    if r["event"] == event and r["node"] == node
                }
                for event in ("object_lost", "object_fetched")
            )
            return lost <= back and _all_closed(trace)
        case "withhold":
            return _all_closed(trace)
        case _:
            return (number, node) not in _revealed(trace)


def _revealed(trace: Rows) -> set[tuple[int, int]]:
    """Rounds and hospitals whose reveal the ledger took: what goes into the aggregate."""
    return _accepted(trace, "task.reveal")


def _accepted(trace: Rows, kind: str) -> set[tuple[int, int]]:
    number, found = 0, set[tuple[int, int]]()
    for row in trace:
        if row["event"] == "round_opened":
            number = row["round"]
        elif row["event"] == "transaction_executed" and row["kind"] == kind and row["accepted"]:
            found.add((number, row["node"]))
    return found


def _all_closed(trace: Rows) -> bool:
    closed = [row["outcome"] for row in trace if row["event"] == "round_closed"]
    return bool(closed) and set(closed) == {"aggregated"}


def _alarms(trace: Rows) -> set[Alarm]:
    found: set[Alarm] = set()
    for row in trace:
        match row["event"]:
            case "transaction_executed" if (
                row["kind"] in ("task.commit", "task.reveal") and not row["accepted"]
            ):
                found.add((f"refused {row['kind']}", _name(row["node"])))
            case "attacked" if ": " in row["detail"] and not row["detail"].endswith("accepted"):
                # Nobody waits for such a transaction; its code is in the block.
                found.add(("refused transaction", _name(row["node"])))
            case "update_checked" if not row["accepted"]:
                found.add(("refused update", _name(row["hospital"])))
            case "aggregate_refused":
                found.add(("refused aggregate", "coordinator"))
            case "object_lost":
                found.add((f"object {row['problem']}", _name(row["node"])))
            case "reported" if row["what"] in ("equivocation", "request-timeout"):
                found.add((row["what"], _name(row["view"] % REPLICAS)))
            case "suspected":
                found.add((row["test"], _name(row["hospital"])))
            case _:
                pass
    committed = _accepted(trace, "task.commit")
    found |= {("withheld", _name(h)) for _, h in committed - _revealed(trace)}
    return found


REPLICAS = 4


def _evidence(run: Run) -> set[Alarm]:
    """What the ledger holds against its members: ``round 1: hospital-02: equivocation``."""
    lines = run.manifest["summary"].get("ledger", {}).get("evidence", ())
    parts = (line.split(": ") for line in lines)
    return {(f"evidence of {kind}", who) for _, who, kind in parts}


def _name(node: int) -> str:
    return "coordinator" if node == REPLICAS else hospital_name(node)


def _edited(run: Run) -> dict[str, Any]:
    """Single-bit edits of one hospital's ledger file, each under an audit of its own.

    The digest that the manifest has of the file is no evidence here, because who edits the one can
    edit the other: only what the audit finds in the ledger itself counts.
    """
    from simulation.runs.verify import verify_run

    dice = Streams(run.seed).stream("edits")
    found, accused = 0, 0
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "run"
        shutil.copytree(run.directory, copy)
        file = copy / "ledger" / f"{_name(2)}.sqlite"
        sound = file.read_bytes()
        for _ in range(EDITS):
            _edit(file, dice)
            named = {f.hospital for f in verify_run(copy).findings if f.height is not None}
            found += _name(2) in named
            accused += bool(named - {_name(2)})
            file.write_bytes(sound)
    return {
        "attempts": EDITS,
        "stopped": found,
        "alarms": [],
        "detected": found == EDITS,
        "accused": accused > 0,
    }


EDITABLE = (
    (
        "SELECT height, header FROM blocks",
        "UPDATE blocks SET header = ? WHERE height = ? AND header = ?",
    ),
    (
        "SELECT height, payload FROM transactions",
        "UPDATE transactions SET payload = ? WHERE height = ? AND payload = ?",
    ),
    (
        "SELECT height, certificate FROM certificates",
        "UPDATE certificates SET certificate = ? WHERE height = ? AND certificate = ?",
    ),
)
"""What an edit may change: how to read it, and how to write one of its rows."""


def _edit(file: Path, dice: np.random.Generator) -> None:
    """Turn one random bit over in a random row of a random table."""
    read, write = EDITABLE[int(dice.integers(len(EDITABLE)))]
    database = sqlite3.connect(file)
    rows = database.execute(read).fetchall()
    height, value = rows[int(dice.integers(len(rows)))]
    at, bit = int(dice.integers(len(value))), int(dice.integers(8))
    changed = value[:at] + bytes([value[at] ^ (1 << bit)]) + value[at + 1 :]
    database.execute(write, (changed, height, value))
    database.commit()
    database.close()


# ---- all runs -----------------------------------------------------------------------------------


def table(runs: Sequence[Run]) -> Table:
    """One row for each attack; the runs without an attacker give the false alarms."""
    points = {labels["case"]: members for labels, members in by_point(runs)}
    rows: Table = []
    for case, (attack, defence) in TITLES.items():
        if case not in points:
            continue
        members, control = points[case], points[CONTROLS.get(case, "control")]
        kinds = {kind for run in members for kind, _ in run.measured["alarms"]}
        false = [any(kind in kinds for kind, _ in run.measured["alarms"]) for run in control]
        paired = {run.seed: run.last("pooled", "auroc") for run in control}
        change = [run.last("pooled", "auroc") - paired[run.seed] for run in members]
        attempts = sum(run.measured["attempts"] for run in members)
        rows.append(
            {
                "case": case,
                "attack": attack,
                "defence": defence,
                "claimed": int(case in CLAIMED),
                "runs": len(members),
                "attempts": attempts,
                "stopped": sum(run.measured["stopped"] for run in members) / attempts,
                "detected": _share(run.measured["detected"] for run in members),
                "accused": _share(run.measured["accused"] for run in members),
                "false_alarms": _share(false),
                **spread("auroc_change", change, case),
            }
        )
    return rows


def _share(flags: Any) -> float:
    found = [bool(flag) for flag in flags]
    return sum(found) / len(found)


def verdict(table: Table) -> Verdict:
    """All claimed rows stopped in all attempts, nobody honest named, and no false alarm there."""
    claimed = [row for row in table if row["claimed"]]
    others = [row for row in table if not row["claimed"]]
    least = min(float(row["stopped"]) for row in claimed)
    accused = max(max(float(row["accused"]), float(row["false_alarms"])) for row in claimed)
    most = max((float(row["stopped"]) for row in others), default=0.0)
    attempts = sum(int(row["attempts"]) for row in claimed)
    return Verdict(
        least == 1 and accused == 0 and most == 0,
        f"of {attempts} attempts in {len(claimed)} claimed rows at least {least:.1%} are stopped "
        f"in every row; an honest participant is named in at most {accused:.1%} of runs; of what "
        f"is not claimed {most:.1%} is stopped, and it is detected in "
        + ", ".join(f"{row['detected']:.0%} ({row['case']})" for row in others),
    )


# ---- the table as a figure ----------------------------------------------------------------------

_LEFT, _DEFENCE, _CHANGE = 0.0, 0.29, 0.855
_NUMBERS = {
    "stopped": (0.585, "stopped", 1),
    "detected": (0.665, "detected", 1),
    "accused": (0.755, "accuses\nthe honest", 0),
    "false_alarms": (0.835, "false\nalarms", 0),
}
"""Where each rate stands, its heading, and what it is at best."""


def figure(table: Table) -> Figure:
    """Table T4: attack, defence, three rates, and the change in AUROC with its interval."""
    height = 1.25 + 0.175 * (len(table) + 2)
    drawing = Figure(figsize=(style.PAGE_IN, height))
    axes = style.table_axes(drawing, -2.0, len(table) + 0.6, above_in=0.42, below_in=0.5)
    seeds = table[0]["runs"]
    style.heading(
        drawing,
        "Attack against defence: what is stopped, what is only seen, what is neither",
        "Four hospitals, commit–reveal on PBFT, one dishonest participant (two for clones)",
    )
    heads = [(_LEFT, "attack", "left"), (_DEFENCE, "against it", "left")]
    heads += [(x, head, "right") for x, head, _ in _NUMBERS.values()]
    heads.append((_CHANGE, "change of AUROC", "left"))
    for x, text, align in heads:
        axes.text(x, -0.6, text, ha=align, va="bottom", fontsize=7, fontweight="bold")
    y = 0.0
    for position, row in enumerate(table):
        if position and row["claimed"] != table[position - 1]["claimed"]:
            axes.axhline(y - 0.45, color=style.MUTED, linewidth=0.6)
            y += 0.1
        _draw_row(axes, row, y)
        y += 1
    axes.axhline(-0.5, color=style.INK, linewidth=0.8)
    style.caption(
        drawing,
        f"{seeds} seeds a row, paired with runs without the attacker. Stopped: share of attempts "
        "without effect. Detected, accuses: share of runs with",
        "an alarm that names the attacker, or somebody honest. False alarms: share of runs without "
        "an attacker that raise the same kind of alarm.",
        "AUROC: mean paired change and its 95 % bootstrap interval. Below the line: what the "
        "ledger protocol does not claim to stop.",
    )
    return drawing


def _draw_row(axes: Any, row: Mapping[str, Any], y: float) -> None:
    axes.text(_LEFT, y, row["attack"], va="center", fontsize=7)
    axes.text(_DEFENCE, y, row["defence"], va="center", fontsize=7, color=style.MUTED)
    for column, (x, _, best) in _NUMBERS.items():
        value = float(row[column])
        look = {"color": style.BLUE}
        if value != best:
            look = {"color": style.VERMILION, "fontweight": "bold"}
        axes.text(x, y, f"{value:.0%}", ha="right", va="center", fontsize=7, **look)
    change, low, high = (float(row[f"auroc_change{end}"]) for end in ("", "_low", "_high"))
    text = f"{change:+.3f} ({low:+.3f}, {high:+.3f})".replace("-", "−")
    axes.text(_CHANGE, y, text, ha="left", va="center", fontsize=6)
