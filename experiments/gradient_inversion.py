"""Gradient inversion as a demonstration: records read back from single steps, with and without DP.

Breast biopsies at one hospital, a network whose first layer is linear with ReLU after it, and an
attacker who divides each unit's weight gradient by its bias gradient
(`simulation.learning.inversion`). Noise is that of DP-SGD for one step, on a gradient clipped to 1.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from experiments import style
from experiments.stem import Table, Verdict
from simulation.config.sweep import Size, ToleranceParams

CLAIM = (
    "A record that is alone in a step is read back from its gradient exactly, in a batch of 16 "
    "some still are, and with the noise of DP-SGD at σ = 1 none is at any batch size"
)
KEYS = ("sigma", "batch")
TOLERANCES = ToleranceParams(
    # Which units are awake for one record only may change with the last bit.
    same_seeds={"median": 0.02, "read": 0.02},
    other_seeds={"median": 0.2, "read": 0.2},
)

SIGMAS = (0.0, 0.01, 0.1, 1.0)
BATCHES = {
    Size.SMOKE: (1, 4),
    Size.QUICK: (1, 2, 4, 8, 16, 32),
    Size.FULL: (1, 2, 4, 8, 16, 32, 64),
}
REPEATS = {Size.SMOKE: 3, Size.QUICK: 20, Size.FULL: 200}
LOOKS = {
    0.0: (style.VERMILION, "o", "no privacy"),
    0.01: (style.ORANGE, "s", "σ = 0.01"),
    0.1: (style.GREEN, "^", "σ = 0.1"),
    1.0: (style.BLUE, "D", "σ = 1"),
}


def compute(size: Size) -> Table:
    """Error and share of records read back, by noise and batch size."""
    from simulation.base.rng import Streams
    from simulation.learning.inversion import invert
    from simulation.learning.params import DpSgdParams, MlpParams
    from simulation.records.load import load
    from simulation.records.params import BreastCancerParams, IidParams

    data = BreastCancerParams(normalisation="public")
    records = load(data, IidParams(), 4, Streams(42))[0]
    model = MlpParams(hidden=(64,), activation="relu")
    rows: Table = []
    for sigma in SIGMAS:
        privacy = DpSgdParams(noise_multiplier=sigma, delta=1e-4) if sigma else None
        for batch in BATCHES[size]:
            found = invert(records, model, batch, privacy, sigma, REPEATS[size], seed=42)
            rows.append(
                {"sigma": sigma, "batch": batch, "median": found.median, "read": found.read}
            )
    return rows


def verdict(table: Table) -> Verdict:
    """All read at batch 1 without noise, some at 16, none with σ = 1."""
    read = {(row["sigma"], row["batch"]): row["read"] for row in table}
    alone, many = read[0.0, 1], read.get((0.0, 16), read[0.0, 4])
    noisy = max(share for (sigma, _), share in read.items() if sigma == 1.0)
    return Verdict(
        alone == 1 and many > 0 and noisy == 0,
        f"without noise {alone:.0%} of records are read back alone and {many:.0%} in a batch of "
        f"16; with σ = 1 at most {noisy:.0%}",
    )


def figure(table: Table) -> Figure:
    """Median error and share of records read back, against the batch size."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.5))
    panels = drawing.subplots(
        1, 2,
        gridspec_kw={"left": 0.07, "right": 0.9, "bottom": 0.31, "top": 0.76, "wspace": 0.42},
    )  # fmt: skip
    style.heading(
        drawing,
        "Records read back from the gradient of one step",
        "Weight gradient over bias gradient of each unit; 64 ReLU units, 30 inputs of biopsies",
    )
    batches = sorted({row["batch"] for row in table})
    for axes, column, title in zip(
        panels,
        ("median", "read"),
        ("Median error (lengths of the record)", "Records read back (error below 0.1)"),
        strict=True,
    ):
        ends: list[tuple[float, str, str]] = []
        for sigma, (colour, marker, name) in LOOKS.items():
            own = [row for row in table if row["sigma"] == sigma]
            heights = [row[column] for row in own]
            axes.plot([row["batch"] for row in own], heights, color=colour, marker=marker)
            ends.append((heights[-1], name, colour))
        axes.set_title(title)
        axes.set_xscale("log", base=2)
        axes.set_xticks(batches, [str(b) for b in batches])
        axes.set_xlabel("records in the batch")
        axes.set_ylim(-0.03, 1.05)
        style.label_ends(axes, ends)
    style.caption(
        drawing,
        "Each point: all records of random batches, each with a model of its own. Error: "
        "distance of the nearest quotient from the record, in lengths of the",
        "record; 1 is no better than guessing zeros. σ: noise multiplier of DP-SGD on the sum of "
        "gradients clipped to norm 1, in one step.",
    )
    return drawing
