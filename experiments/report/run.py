"""What the report of one run shows, from the files of its directory alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments import style
from experiments.report.page import Bars, Block, Command, Facts, Grid, Page, Picture, Section, Text
from experiments.run_figure import description, run_figure
from simulation.base.units import format_bytes, format_us
from simulation.config.experiment import Experiment
from simulation.config.load import load
from simulation.runs.artifacts import CONFIG, METRICS, TRACE, read_metrics, read_trace
from simulation.runs.manifest import read_manifest
from simulation.trace.metrics import EPSILON, PHASES, ROUND

Row = Mapping[str, Any]
INCIDENTS = (
    "attacked", "suspected", "update_late", "model_refused", "aggregate_refused", "object_lost",
    "object_refused",
)  # fmt: skip
"""Events that are shown one by one: what went wrong, was done wrong, or was refused."""
OF_NOTE = ("crashed", "recovered", "new-view", "view-change", "partition", "heal", "slow")
"""Reports of consensus and of the fault schedule that are shown as well."""
SHOWN = 60


def run_page(directory: Path) -> Page:
    """The report of a finished or failed run.

    Raises:
        OSError: when the directory is not that of a run.
    """
    manifest = read_manifest(directory)
    experiment = load(directory / CONFIG)
    rows = read_metrics(directory) if (directory / METRICS).is_file() else []
    lead = description(experiment, directory)
    sections = [
        _what(directory, manifest, experiment),
        *_figure(rows, experiment, lead),
        *_results(rows),
        *_rounds(rows),
        *_phases(rows),
        *_privacy(rows, experiment),
        _ledger(manifest),
        _incidents(directory),
        _provenance(manifest),
    ]
    return Page(f"{experiment.name}, seed {manifest['seed']}", lead, sections)


def _what(directory: Path, manifest: Row, experiment: Experiment) -> Section:
    facts = {
        "status": manifest["status"],
        "virtual time": format_us(manifest["virtual_us"]),
        "wall time": f"{manifest['wall_s']:.1f} s",
        "hospitals": experiment.hospitals,
        "configuration": manifest["config_hash"],
        "trace digest": manifest["trace_digest"],
        "checked, and held": ", ".join(manifest["invariants"]) or "nothing",
    }
    blocks: list[Block] = [Facts(facts)]
    blocks += [Text(f"Known before the run: {warning}") for warning in manifest["warnings"]]
    if manifest["failure"] is not None:
        blocks.append(Facts({k: v for k, v in manifest["failure"].items() if v is not None}))
    command = f"wardchain run {directory / CONFIG} --seed {manifest['seed']} --out /some/folder"
    blocks += [Text("To run it again:"), Command(command)]
    return Section("What was run", blocks, manifest["status"])


def _figure(rows: Sequence[Row], experiment: Experiment, lead: str) -> Iterator[Section]:
    """The figure of a run that learned, drawn here: a run of a sweep has none of its own."""
    if not experiment.learns or not any(row["scope"] == ROUND for row in rows):
        return
    with style.figure_style():
        figure = run_figure(rows, experiment, lead)
    with TemporaryDirectory() as folder:
        (path,) = style.save(figure, Path(folder), "figure", ("svg",))
        yield Section("Figure", [Picture(path.read_bytes(), lead)])


def _results(rows: Sequence[Row]) -> Iterator[Section]:
    """Every measurement of the whole federation at its end, with its interval where it has one."""
    last = {
        (row["scope"], row["metric"]): row for row in rows if row["scope"] in _WHOLE
    }  # fmt: skip
    cells: list[list[Any]] = []
    for (scope, metric), row in last.items():
        if metric.removesuffix("_low").removesuffix("_high") != metric:
            continue
        ends = [last.get((scope, f"{metric}_{end}")) for end in ("low", "high")]
        between = [None if end is None else end["value"] for end in ends]
        cells.append([_WHOLE[scope], metric, row["value"], *between, row["round"]])
    if cells:
        yield Section("Results", [Grid(("of", "metric", "value", "low", "high", "round"), cells)])


_WHOLE = {
    "pooled": "all test rows", "mean": "mean of hospitals", "max": "largest of all",
    "workload": "workload",
}  # fmt: skip
"""Scopes of the whole federation, in words."""


def _rounds(rows: Sequence[Row]) -> Iterator[Section]:
    """A line for each round, with what there is of these."""
    wanted = (
        (ROUND, "updates_accepted", "accepted"), (ROUND, "updates_rejected", "rejected"),
        (ROUND, "updates_late", "late"), (ROUND, "void", "void"),
        (ROUND, "transactions", "transactions"), (ROUND, "consensus_p50_us", "consensus p50 (ms)"),
        (ROUND, "duration_us", "duration (ms)"), ("pooled", "auroc", "AUROC"),
        ("pooled", "log_loss", "log loss"), ("max", EPSILON, "ε"),
    )  # fmt: skip
    series = {title: _series(rows, scope, metric) for scope, metric, title in wanted}
    series = {title: values for title, values in series.items() if values}
    numbers = sorted({number for values in series.values() for number in values if number > 0})
    if "duration (ms)" in series:
        cells = [
            [number, *(_cell(title, values.get(number)) for title, values in series.items())]
            for number in numbers
        ]
        yield Section("Rounds", [Grid(("round", *series), cells)])


def _cell(title: str, value: float | None) -> float | None:
    return value / 1000 if value is not None and title.endswith("(ms)") else value


def _series(rows: Sequence[Row], scope: str, metric: str) -> dict[int, float]:
    return {r["round"]: r["value"] for r in rows if r["scope"] == scope and r["metric"] == metric}


def _phases(rows: Sequence[Row]) -> Iterator[Section]:
    """Where the virtual time of every round went."""
    phases = {name: _series(rows, ROUND, f"{name}_us") for name in PHASES}
    phases = {name: values for name, values in phases.items() if any(values.values())}
    lengths = {n: us for n, us in _series(rows, ROUND, "duration_us").items() if us}
    if phases and lengths:
        bars = [
            (str(n), [values.get(n, 0) / us for values in phases.values()], format_us(round(us)))
            for n, us in lengths.items()
        ]
        text = Text("Means over the hospitals that took part; the phases of a round tile it.")
        yield Section("Where the time went", [text, Bars(list(phases), bars)])


def _privacy(rows: Sequence[Row], experiment: Experiment) -> Iterator[Section]:
    """ε of every hospital after every round, as its accountant has it."""
    scopes = sorted(
        {r["scope"] for r in rows if r["metric"] == EPSILON and r["scope"].startswith("hospital")}
    )
    if not scopes:
        return
    series = {scope: _series(rows, scope, EPSILON) for scope in scopes}
    numbers = sorted({number for values in series.values() for number in values})
    cells = [
        [scope, *(values.get(number) for number in numbers)] for scope, values in series.items()
    ]
    target = getattr(experiment.privacy, "epsilon", None)
    cap = getattr(experiment.privacy, "cap", None)
    facts = Facts({"planned ε": target, "cap on the ledger": cap,
                   "δ": getattr(experiment.privacy, "delta", None)})  # fmt: skip
    grid = Grid(("hospital", *(f"round {number}" for number in numbers)), cells)
    yield Section("Privacy", [facts, Text("ε spent since the start, after each round:"), grid])


def _ledger(manifest: Row) -> Section:
    summary = manifest["summary"]
    blocks: list[Block] = []
    ledger = summary.get("ledger")
    if ledger:
        blocks.append(Facts({k.replace("_", " "): _plain(v) for k, v in ledger.items()}))
    messages = summary.get("messages", {})
    if messages:
        cells = [(kind, m["messages"], m["bytes"]) for kind, m in messages.items()]
        total = sum(m["bytes"] for m in messages.values())
        blocks += [
            Text(f"On the wire: {format_bytes(total)} in all."),
            Grid(("message", "number", "bytes"), cells),
        ]
    return Section("Ledger and messages", blocks or [Text("No ledger, and no messages counted.")])


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return f"{len(value)}" if value else "none"
    return str(value) if isinstance(value, dict) else value


def _incidents(directory: Path) -> Section:
    """Faults, attacks and refusals in the order in which they happened."""
    counts: Counter[str] = Counter()
    found: list[tuple[float, str, str]] = []
    for event in read_trace(directory) if (directory / TRACE).is_file() else ():
        kind = event["event"]
        noted = kind == "reported" and any(word in event["what"] for word in OF_NOTE)
        if kind in INCIDENTS or noted:
            counts[event["what"] if noted else kind] += 1
            if len(found) < SHOWN:
                found.append((event["t_us"] / 1000, event["what"] if noted else kind, _told(event)))
    if not found:
        return Section("Faults and attacks", [Text("None: no fault, no attack, no refusal.")])
    blocks: list[Block] = [Facts(dict(counts))]
    if sum(counts.values()) > SHOWN:
        blocks.append(Text(f"The first {SHOWN} of {sum(counts.values())}:"))
    blocks.append(Grid(("virtual time (ms)", "what", "details"), found))
    return Section("Faults and attacks", blocks)


def _told(event: Row) -> str:
    known = ("event", "t_us", "what")
    return ", ".join(f"{k} {v}" for k, v in event.items() if k not in known and v not in ("", None))


def _provenance(manifest: Row) -> Section:
    git = manifest["git"] or {"revision": "outside a clone", "dirty": False}
    facts = {
        "started": manifest["started"],
        "revision": git["revision"] + (" (changed since)" if git["dirty"] else ""),
        "consensus core": "compiled" if manifest.get("compiled") else "interpreted",
        **{f"machine: {name}": value for name, value in manifest["host"].items()},
    }
    versions = Grid(("library", "version"), list(manifest["versions"].items()))
    return Section("Provenance", [Facts(facts), versions])
