"""What the simulator itself costs: processor time for each second of virtual time, and memory.

Processor time is that of the runs' manifests, so it contains the world's set-up and the writing of
the trace. Memory is the most that a process ever held that did this one run and nothing else; what
its libraries held before the run began is told apart, because it does not grow. Both depend on the
machine. They are shown and never compared.
"""

from __future__ import annotations

import math
import resource
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict, by_point

if TYPE_CHECKING:
    from simulation.config.experiment import Experiment

CLAIM = (
    "Up to 16 hospitals the simulator is faster than the consensus that it simulates at 50 "
    "requests per second; its cost grows with the number of messages and no faster, and its memory "
    "stays below twice that of its libraries"
)
KEYS = ("hospitals",)
MOST_MEMORY = 2.0
"""What the claim says of memory, in times of what the libraries hold."""
STATUS = Path("/proc/self/status")


# ---- one run ------------------------------------------------------------------------------------


def measure(run: Run) -> dict[str, float]:
    """Peak memory of a run in MB, and what its libraries held before: a process of its own each.

    Raises:
        RuntimeError: when that process dies.
    """
    assert run.experiment is not None
    # A fork would begin with the memory of this process.
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run_again, args=(run.experiment, run.seed, theirs))
    process.start()
    theirs.close()
    try:
        before, peak = ours.recv()
    except EOFError:
        raise RuntimeError(f"the process that measured {run.directory} died") from None
    finally:
        process.join()
    return {"libraries_mb": before, "peak_mb": peak}


def _run_again(experiment: Experiment, seed: int, pipe: Connection) -> None:
    """Do the run once more, its files as well, and say how much memory it took."""
    from simulation.runs.execute import execute, prepare

    prepare()
    before = peak_mb()
    with tempfile.TemporaryDirectory() as place:
        failure = execute(experiment, seed, Path(place)).failure
    assert failure is None, f"it ran before, and now: {failure}"
    pipe.send((before, peak_mb()))


def peak_mb() -> float:
    """The most memory, in MB, that this process has held since it began.

    The kernel's own count where there is one: the standard library's contains what the parent held
    when it started this process.
    """
    if STATUS.is_file():
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


# ---- all runs -----------------------------------------------------------------------------------


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds with their intervals, by number of hospitals."""
    rows: Table = []
    for labels, members in by_point(runs):
        n = labels["hospitals"]
        sent = [_messages(run) for run in members]
        spent = [run.manifest["processor_s"] for run in members]
        virtual = [run.manifest["virtual_us"] / 1e6 for run in members]
        slower = [w / v for w, v in zip(spent, virtual, strict=True)]
        rate = [m / w for m, w in zip(sent, spent, strict=True)]
        rows.append(
            {
                "hospitals": n,
                "seeds": len(members),
                "virtual_s": virtual[0],
                **spread("messages", sent, n),
                **spread("processor_s", spent, n),
                **spread("slower", slower, n),
                **spread("messages_per_s", rate, n),
                "libraries_mb": max(run.measured["libraries_mb"] for run in members),
                **spread("peak_mb", [run.measured["peak_mb"] for run in members], n),
            }
        )
    return rows


def _messages(run: Run) -> float:
    return float(sum(kind["messages"] for kind in run.manifest["summary"]["messages"].values()))


def verdict(table: Table) -> Verdict:
    """Less than a processor second per virtual second up to 16, exponent of cost at most 1, and
    nowhere twice the memory of the libraries.
    """
    small = [row for row in table if row["hospitals"] <= 16]
    slowest = max(row["slower"] for row in small)
    first, last = table[0], table[-1]
    growth = math.log(last["processor_s"] / first["processor_s"])
    exponent = growth / math.log(last["messages"] / first["messages"])
    memory = max(row["peak_mb"] / row["libraries_mb"] for row in table)
    return Verdict(
        slowest < 1 and exponent <= 1 and memory < MOST_MEMORY,
        f"a virtual second takes {small[-1]['slower']:.2f} s with {small[-1]['hospitals']} "
        f"hospitals and {last['slower']:.1f} s with {last['hospitals']}; from "
        f"{first['messages']:,.0f} to {last['messages']:,.0f} messages the time grows "
        f"like messages to the {exponent:.2f}; memory peaks between {first['peak_mb']:.0f} and "
        f"{last['peak_mb']:,.0f} MB, at most {memory:.2f} times the {last['libraries_mb']:.0f} MB "
        f"that libraries hold before a run begins",
    )


def figure(table: Table) -> Figure:
    """Processor seconds per virtual second, messages per processor second, peak memory."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.4))
    left, middle, right = drawing.subplots(
        1, 3,
        gridspec_kw={"left": 0.06, "right": 0.985, "bottom": 0.33, "top": 0.77, "wspace": 0.24},
    )  # fmt: skip
    style.heading(
        drawing,
        "What the simulator costs",
        "PBFT between hospitals of one country, 50 requests per second, each a block of its own",
    )
    hospitals = [row["hospitals"] for row in table]
    style.interval_line(left, table, "hospitals", "slower", color=style.BLUE, marker="o")
    style.interval_line(
        middle, table, "hospitals", "messages_per_s", 1e-3, color=style.GREEN, marker="s"
    )
    style.interval_line(right, table, "hospitals", "peak_mb", color=style.VERMILION, marker="D")
    places = {"textcoords": "offset points", "fontsize": 6.5, "color": style.MUTED}
    left.axhline(1, color=style.INK, linewidth=0.6)
    left.annotate("real time", (hospitals[0], 1), xytext=(-2, 2), **places)
    libraries = table[-1]["libraries_mb"]
    right.axhline(libraries, color=style.INK, linewidth=0.6)
    right.annotate(
        "libraries alone", (hospitals[-1], libraries), xytext=(2, -8), ha="right", **places
    )
    right.set_ylim(0, 1.08 * max(row["peak_mb_high"] for row in table))
    for axes, title in (
        (left, "Processor s per virtual s"),
        (middle, "Thousand messages per s"),
        (right, "Peak memory (MB)"),
    ):
        axes.set_title(title)
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(hospitals, [str(n) for n in hospitals])
        axes.set_xlabel("hospitals n")
    for axes in (left, middle):
        axes.set_yscale("log")
        style.plain_log(axes.yaxis)
    style.caption(
        drawing,
        f"Points: means over {table[0]['seeds']} seeds; bars: 95 % bootstrap intervals of the "
        f"mean. Each run simulates {table[0]['virtual_s']:.1f} s; its set-up and the writing",
        "of its trace are counted. Memory: of a process that does one run and nothing else. One "
        "thread on the machine that the manifest names; others, and other",
        "work on the same one, give other numbers.",
    )
    return drawing
