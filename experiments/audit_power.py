"""How often an audit catches noise that is smaller than claimed, against how much smaller it is.

One hospital of synthetic numbers, logistic regression, DP-SGD with canaries; a trainer that adds a
share of the noise that it declares. One audit a seed; each of its three parts either contradicts
the claim or does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import spread
from experiments.stem import Table, Verdict
from simulation.config.sweep import Size, ToleranceParams

CLAIM = (
    "An audit never contradicts training that adds all of its noise, its estimate always catches "
    "half the noise or less, and the bound that assumes nothing only catches a tenth or less"
)
KEYS = ("share",)
TOLERANCES = ToleranceParams(
    same_seeds=dict.fromkeys(("one_run", "f_dp", "estimate", "caught_by_estimate"), 0.1)
)

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
SEEDS = {Size.SMOKE: 2, Size.QUICK: 10, Size.FULL: 100}
CANARIES = 600
RECORDS, SIGMA, ROUNDS, DELTA = 100, 2.5, 6, 1e-4
TOP = 20.0
"""Estimates are cut here: without noise there is no finite one."""
PARTS = {
    "one_run": ("one-run bound", style.BLUE, "o"),
    "f_dp": ("f-DP bound", style.GREEN, "s"),
    "estimate": ("estimate", style.VERMILION, "D"),
}


def compute(size: Size) -> Table:
    """Rates of detection and means of what the audits state, by share of the noise added."""
    from simulation.learning.audit.onerun import ceiling
    from simulation.learning.audit.report import AuditReport, audit
    from simulation.learning.audit.sight import Subject
    from simulation.learning.engines import BatchedParams
    from simulation.learning.params import DpSgdParams, LogisticParams, TrainingParams
    from simulation.learning.privacy import PrivacyPlan
    from simulation.learning.records import Rows
    from simulation.learning.tampering import Tampering
    from simulation.learning.train import Trainer

    @dataclass(frozen=True)
    class Quiet(Tampering):
        """Adds a share of the noise that is declared."""

        share: float

        def mechanism(self, number: int, declared: PrivacyPlan) -> PrivacyPlan:
            del number
            return replace(declared, sigma=declared.sigma * self.share)

    rng = np.random.default_rng(0)
    x = rng.standard_normal((RECORDS + 20, 3)).astype(np.float32)
    y = (x[:, 0] + 0.3 * rng.standard_normal(RECORDS + 20) > 0).astype(np.int64)
    train, test = slice(RECORDS), slice(RECORDS, None)
    records = Rows(0, x[train], y[train], np.arange(RECORDS), x[test], y[test], ("a", "b", "c"))
    rows: Table = []
    for share in SHARES:
        subject = Subject(
            records,
            LogisticParams(),
            TrainingParams(learning_rate=0.2, batch_size=25),
            DpSgdParams(noise_multiplier=SIGMA, delta=DELTA),
            ROUNDS,
            BatchedParams(),
            partial(Trainer, tampering=Quiet(share)),
        )
        found: list[AuditReport] = [audit(subject, CANARIES, s) for s in range(SEEDS[size])]
        stated = {
            "one_run": [f.one_run for f in found],
            "f_dp": [f.f_dp for f in found],
            "estimate": [TOP if f.conformance is None else min(TOP, f.conformance) for f in found],
        }
        claimed = found[0].claimed
        row: dict[str, str | int | float] = {
            "share": share,
            "audits": len(found),
            "claimed": claimed,
            "ceiling": ceiling(CANARIES, DELTA),
        }
        for part, values in stated.items():
            row |= spread(part, values, str(share))
            row[f"caught_by_{part}"] = float(np.mean([value > claimed for value in values]))
        rows.append(row)
    return rows


def verdict(table: Table) -> Verdict:
    """No false alarm at the whole noise; what catches half of it, and what a tenth."""
    by = {row["share"]: row for row in table}
    alarms = max(by[1.0][f"caught_by_{part}"] for part in PARTS)
    half, tenth = by[0.5], by[0.1]
    return Verdict(
        alarms == 0
        and half["caught_by_estimate"] == 1
        and tenth["caught_by_one_run"] == 1
        and half["caught_by_one_run"] < 1,
        f"false alarms {alarms:.0%}; at half the noise the estimate catches "
        f"{half['caught_by_estimate']:.0%}, f-DP {half['caught_by_f_dp']:.0%} and the one-run "
        f"bound {half['caught_by_one_run']:.0%}; at a tenth the one-run bound catches "
        f"{tenth['caught_by_one_run']:.0%}, f-DP {tenth['caught_by_f_dp']:.0%}",
    )


def figure(table: Table) -> Figure:
    """Rate of detection, and what the parts state beside claim and ceiling."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.6))
    panels = drawing.subplots(
        1, 2,
        gridspec_kw={"left": 0.07, "right": 0.88, "bottom": 0.3, "top": 0.77, "wspace": 0.45},
    )  # fmt: skip
    claimed, most = table[0]["claimed"], table[0]["ceiling"]
    style.heading(
        drawing,
        "How much missing noise an audit notices",
        f"Share of the declared noise that training really adds; claim ε = {claimed:.2f} at δ 1e-4",
    )
    ends: list[tuple[float, str, str]] = []
    for part, (name, colour, marker) in PARTS.items():
        look = {"color": colour, "marker": marker}
        rates = [row[f"caught_by_{part}"] for row in table]
        panels[0].plot([row["share"] for row in table], rates, **look)
        style.interval_line(panels[1], table, "share", part, **look)
        ends.append((rates[len(rates) // 2], name, colour))
    panels[1].axhline(claimed, color=style.INK, linewidth=0.8)
    panels[1].axhline(most, color=style.BLUE, linewidth=0.8, linestyle=(0, (1, 2)))
    panels[1].set_yscale("log")
    panels[0].set_title("Audits that contradict the claim")
    panels[1].set_title("ε that is stated (black: claim)")
    panels[0].set_ylim(-0.03, 1.05)
    for axes in panels:
        axes.set_xlabel("noise added / noise declared")
    style.label_ends(panels[0], ends)
    panels[1].annotate(
        "one-run ceiling", (1.02, most), xycoords=panels[1].get_yaxis_transform(), va="center",
        color=style.BLUE, fontsize=7, annotation_clip=False,
    )  # fmt: skip
    style.caption(
        drawing,
        f"{table[0]['audits']} audits at each point, with {CANARIES} canaries each; bars: 95 % "
        f"bootstrap intervals of the mean. Estimates are cut at {TOP:g}. The one-run bound cannot",
        "exceed its ceiling whatever is wrong: flat does not mean safe. The f-DP bound takes the "
        "trade-off curve, the estimate also the noise, to be Gaussian.",
    )
    return drawing
