"""What the ledger weighs: bytes on the chain by kind, and in the vaults, round by round.

The closed form (`simulation.runs.storage_form`) is held against the chain to the byte. Traffic is
what the federation would send without a ledger: each round, the model to every hospital and an
update back, of four bytes a parameter.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, StrMethodFormatter

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

CLAIM = (
    "The chain grows by the same amount every round, to the byte of a closed form, and for models "
    "of a million parameters and more it stays below 0.1 % of the model traffic"
)
KEYS = ("hospitals", "rounds")

PARAMETERS = 1_000_000
BYTES_PER_PARAMETER = 4
LIMIT_PERCENT = 0.1
ABLE = ("header", "certificate")
"""Kinds that are no member's transaction."""


def measure(run: Run) -> Any:
    """A run's bytes by round and kind, the closed form of its rounds, and what the vaults keep."""
    from simulation.runs.storage import chain_bytes, chain_items
    from simulation.runs.storage_form import round_size
    from simulation.runs.verify_rows import read_copy

    copy = read_copy(run.directory / "ledger" / "coordinator.sqlite")
    sizes: dict[int, dict[str, int]] = {}
    for entry in chain_bytes(copy):
        sizes.setdefault(entry.round, {})[entry.kind] = entry.size_bytes
    bodies: dict[int, dict[tuple[str, int], Mapping[str, Any]]] = {}
    for item in chain_items(copy):
        if item.transaction is not None:
            inner = item.transaction.transaction
            bodies.setdefault(item.round, {})[inner.kind, inner.sender] = inner.body
    rounds: list[dict[str, Any]] = []
    n = run.labels["hospitals"]
    for number in sorted(sizes):
        said = bodies[number]
        commits = [said["task.commit", h] for h in range(n)]
        holders = [[row[0] for row in said["task.reveal", h]["holdings"]] for h in range(n)]
        form = round_size(
            n, number, holders, commits[0]["nbytes"], [body["examples"] for body in commits]
        )
        cids = [said["task.reveal", h]["cid"] for h in range(n)]
        cids.append(said["task.aggregate", n]["out_cid"])
        kept = sum(p.stat().st_size for cid in cids for p in run.directory.glob(f"vault/*/{cid}"))
        rounds.append({"chain": sizes[number], "form": form, "vault": kept})
    return rounds


def table(runs: Sequence[Run]) -> Table:
    """Totals up to each round, means over seeds with intervals, by number of hospitals."""
    rows: Table = []
    for labels, members in by_point(runs):
        n = labels["hospitals"]
        for upto in range(1, len(members[0].measured) + 1):
            totals = [_total(run.measured[:upto]) for run in members]
            row: dict[str, Any] = {"hospitals": n, "rounds": upto, "seeds": len(members)}
            for column in totals[0]:
                values = [total[column] for total in totals]
                row |= spread(column, values, n, upto)
            traffic = 2 * n * PARAMETERS * BYTES_PER_PARAMETER * upto
            share = [100_000 * total["chain_kb"] / traffic for total in totals]
            row |= spread("share_percent", share, n, upto)
            row["bytes_off_form"] = sum(_off_form(run.measured[:upto]) for run in members)
            rows.append(row)
    return rows


def _total(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Kilobytes of these rounds: chain, its parts, the closed form, the vaults."""
    kinds: dict[str, int] = {}
    for number in rounds:
        for kind, size in number["chain"].items():
            kinds[kind] = kinds.get(kind, 0) + size
    chain = sum(kinds.values())
    others = sum(kinds.get(kind, 0) for kind in ABLE)
    found = {
        "chain_kb": chain,
        "transaction_kb": chain - others,
        "form_kb": sum(sum(number["form"].values()) for number in rounds),
        **{f"{kind.removeprefix('task.')}_kb": size for kind, size in sorted(kinds.items())},
        "vault_kb": sum(number["vault"] for number in rounds),
    }
    return {name: size / 1000 for name, size in found.items()}


def _off_form(rounds: Sequence[Mapping[str, Any]]) -> int:
    """Bytes by which transactions differ from the closed form, kind by kind."""
    return sum(
        abs(number["chain"].get(kind, 0) - number["form"].get(kind, 0))
        for number in rounds
        for kind in {*number["chain"], *number["form"]} - set(ABLE)
    )


def verdict(table: Table) -> Verdict:
    """Form exact, growth even, share below the limit at the largest n."""
    last = _ends(table)
    off = max(row["bytes_off_form"] for row in last)
    uneven = max(_unevenness(table, row["hospitals"]) for row in last)
    worst = max(last, key=lambda row: row["share_percent"])
    n = worst["hospitals"]
    least = worst["share_percent"] / LIMIT_PERCENT * PARAMETERS
    each = worst["chain_kb"] / worst["rounds"]
    return Verdict(
        off == 0 and uneven < 0.1 and worst["share_percent"] < LIMIT_PERCENT,
        f"transactions differ from the closed form by {off} bytes and rounds from each other by at "
        f"most {uneven:.1%}; at n = {n} a round puts {each:.0f} kB on the chain, "
        f"{worst['share_percent']:.3f} % of the traffic of a million parameters (below 0.1 % from "
        f"{least:,.0f} on), and a hospital's own copy is {n * worst['share_percent']:.2f} % of its "
        "own traffic",
    )


def _ends(table: Table) -> Table:
    """The last row of every number of hospitals."""
    return list({row["hospitals"]: row for row in table}.values())


def _rounds(table: Table, n: object) -> Table:
    return [row for row in table if row["hospitals"] == n]


def _unevenness(table: Table, n: object) -> float:
    """How far the growth of any round is from the mean growth."""
    totals = [0.0, *(float(row["chain_kb"]) for row in _rounds(table, n))]
    steps = [after - before for before, after in itertools.pairwise(totals)]
    mean = totals[-1] / len(steps)
    return max(abs(step / mean - 1) for step in steps)


PARTS = (
    ("open_kb", "aggregate_kb"),
    ("commit_kb",),
    ("reveal_kb",),
    ("confirm_kb",),
    ("header_kb",),
    ("certificate_kb",),
)
NAMES = ("open, aggregate", "commit", "reveal", "confirm", "headers", "certificates")
MARKERS = "vos^Dp"
COLOURS = (style.SKY, style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.VERMILION)


def figure(table: Table) -> Figure:
    """Growth by kind at the largest n; one round against n beside the form; share against size."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.75))
    growth, scaling, share = drawing.subplots(
        1, 3,
        gridspec_kw={"left": 0.06, "right": 0.985, "bottom": 0.32, "top": 0.77, "wspace": 0.3},
    )  # fmt: skip
    style.heading(
        drawing,
        "What the ledger weighs",
        "Bytes on one copy of the chain: commit, seal, reveal, every replica's own result",
    )
    last = _ends(table)
    _draw_growth(growth, _rounds(table, last[-1]["hospitals"]))
    _draw_scaling(scaling, last)
    _draw_share(share, last)
    vaults = float(last[-1]["vault_kb"]) / float(last[-1]["rounds"])
    style.caption(
        drawing,
        f"Means over seeds (n = {last[0]['seeds']}). Dashed: closed form of all transactions of a "
        "round, equal to the chain to the byte. Dotted: 0.1 %. Traffic: the model to every",
        "hospital and an update back each round, four bytes a parameter; every hospital stores the "
        f"whole chain. Off the chain, the vaults keep {vaults:.0f} kB a round",
        f"of this small model at n = {last[-1]['hospitals']}: sealed, in 2f + 1 copies.",
    )
    return drawing


def _draw_growth(axes: Axes, rows: Table) -> None:
    rounds = [0, *(row["rounds"] for row in rows)]
    parts = [[0.0, *(_sum(row, columns) for row in rows)] for columns in PARTS]
    axes.stackplot(rounds, parts, colors=COLOURS, labels=NAMES, linewidth=0)
    axes.set_title(f"On the chain, n = {rows[-1]['hospitals']} (kB)")
    axes.set_xlabel("rounds")
    axes.set_xlim(0, rounds[-1])
    axes.set_xticks(rounds if len(rounds) < 8 else rounds[:: len(rounds) // 5])
    axes.set_ylim(0, 1.15 * sum(part[-1] for part in parts))
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], names[::-1], loc="upper left", fontsize=6, labelspacing=0.3)


def _draw_scaling(axes: Axes, last: Table) -> None:
    hospitals = [row["hospitals"] for row in last]
    for columns, colour, marker in zip(PARTS, COLOURS, MARKERS, strict=True):
        each = [_sum(row, columns) / float(row["rounds"]) for row in last]
        axes.plot(hospitals, each, color=colour, marker=marker, markersize=3)
    form = [float(row["form_kb"]) / float(row["rounds"]) for row in last]
    axes.plot(hospitals, form, color=style.INK, linewidth=0.8, linestyle="--")
    axes.set_title("One round, by kind (kB)")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(hospitals, [str(n) for n in hospitals])
    axes.set_xlabel("hospitals n")


def _draw_share(axes: Axes, last: Table) -> None:
    sizes = [10.0**power for power in (4, 5, 6, 7)]
    for row, dashes in zip((last[0], last[-1]), ("-", (0, (4, 1.5))), strict=True):
        percent = [float(row["share_percent"]) * PARAMETERS / size for size in sizes]
        axes.plot(
            sizes, percent, label=f"n = {row['hospitals']}", color=style.BLUE, linestyle=dashes
        )
    axes.axhline(LIMIT_PERCENT, color=style.INK, linewidth=0.6, linestyle=":")
    axes.set_title("Chain, % of the model traffic")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("parameters of the model")
    axes.legend(loc="upper right")


def _sum(row: Mapping[str, Any], columns: Sequence[str]) -> float:
    return sum(float(row[column]) for column in columns)
