"""``wardchain run``: a configuration becomes runs, a table that fills, and a summary."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulation.base.units import US_PER_MS, format_us
from simulation.cli.exits import DONE, RUN_FAILED, emit, note
from simulation.cli.options import Config, Json, Seed, Set

if TYPE_CHECKING:
    from simulation.config.experiment import Experiment
    from simulation.runs.execute import Result

Out = Annotated[Path, typer.Option("--out", help="Folder for run directories.")]


def run(
    config: Config,
    set_: Set = None,
    seed: Seed = None,
    out: Out = Path("results/runs"),
    json: Json = False,
) -> int:
    """Run an experiment: one run for each seed, skipping what is already done."""
    from simulation.config.concerns import concerns
    from simulation.config.load import load
    from simulation.config.study import has_sweep
    from simulation.runs.directory import State, require_writable, run_directory, state

    experiment = load(config, set_ or (), seed)
    places = {number: run_directory(out, experiment, number) for number in experiment.seeds}
    for place in places.values():
        require_writable(place)
    missing = [number for number, place in places.items() if state(place) is not State.DONE]
    if missing:
        _prepare(experiment, missing)
    for warning in concerns(experiment):
        note(f"warning: {warning}")
    if has_sweep(config):
        note(f"{config}: runs without its sweep; wardchain sweep {config} runs every point")
    results = [_run_one(experiment, number, out, json) for number in experiment.seeds]
    code = RUN_FAILED if any(result.failure for result in results) else DONE
    if json:
        emit(_report(experiment, results, code))
    else:
        _close(config, set_ or [], experiment, results)
    return code


def _prepare(experiment: Experiment, seeds: list[int]) -> None:
    """Everything that can be wrong is found here, before a directory is made."""
    from simulation.runs.preflight import preflight

    if sys.stderr.isatty():
        note(f"{experiment.name}: meeting the data, planning privacy (some seconds)")
    # PyTorch and Opacus warn their own callers of things that the trainer has settled.
    warnings.filterwarnings("ignore", module=r"(torch|opacus)(\..*)?$")
    settings = preflight(experiment, seeds).values()
    for warning in dict.fromkeys(text for setting in settings for text in setting.notes):
        note(f"warning: {warning}")


def _run_one(experiment: Experiment, seed: int, out: Path, json: bool) -> Result:
    from simulation.cli.progress import Progress
    from simulation.cli.views import watching
    from simulation.runs.directory import State, run_directory, state
    from simulation.runs.execute import execute

    directory = run_directory(out, experiment, seed)
    if state(directory) is State.DONE:
        note(f"{directory}: done before, skipped")
        return execute(experiment, seed, out)
    title = f"{experiment.name}, seed {seed}"
    if experiment.learns:
        with watching(Progress(), title, sys.stderr if json else sys.stdout) as listener:
            result = execute(experiment, seed, out, (listener,), draw=_draw)
    else:
        # A workload has no rounds to show while it runs, and no model to draw afterwards.
        note(title)
        result = execute(experiment, seed, out)
    if result.failure is not None:
        note(f"error: seed {seed} failed: {result.failure.message}")
        note(f"       see {result.directory / 'FAILED'}")
    if result.figure_problem is not None:
        note(f"no figure was drawn: {result.figure_problem}")
    return result


def _draw(folder: Path) -> None:
    from simulation.cli.figures import drawer

    drawer()(folder)


# ---- what is said at the end --------------------------------------------------------------------


def _report(experiment: Experiment, results: list[Result], code: int) -> dict[str, Any]:
    from simulation.config.dump import config_hash
    from simulation.runs.privacy import no_guarantee

    return {
        "name": experiment.name,
        "config_hash": config_hash(experiment),
        "no_privacy_guarantee": no_guarantee(experiment),
        "runs": [_run_report(result) for result in results],
        "exit_code": code,
    }


def _run_report(result: Result) -> dict[str, Any]:
    from simulation.runs.manifest import read_manifest

    manifest = read_manifest(result.directory)
    return {
        "seed": result.seed,
        "directory": str(result.directory),
        "status": manifest["status"],
        "skipped": result.skipped,
        "wall_s": manifest["wall_s"],
        "virtual_us": manifest["virtual_us"],
        "trace_digest": manifest["trace_digest"],
        "invariants": manifest["invariants"],
        "warnings": manifest["warnings"],
        "stopped": manifest["summary"].get("stopped"),
        "final": {} if result.failure else _final(result.directory),
        "figures": [str(path) for path in _figures(result.directory)],
        "failure": manifest["failure"],
    }


def _final(directory: Path) -> dict[str, float]:
    """The last round's metrics over all hospitals' test rows, or a workload's measured window."""
    from simulation.cli.progress import SCOPE, WORKLOAD
    from simulation.runs.artifacts import read_metrics

    rows = [row for row in read_metrics(directory) if row["scope"] in (SCOPE, WORKLOAD)]
    last = max((row["round"] for row in rows), default=0)
    return {row["metric"]: row["value"] for row in rows if row["round"] == last}


def _figures(directory: Path) -> list[Path]:
    return sorted(p for p in directory.rglob("*") if p.suffix in (".svg", ".png", ".pdf"))


def _close(
    config: Path, overrides: list[str], experiment: Experiment, results: list[Result]
) -> None:
    from simulation.runs.privacy import no_guarantee

    print()
    for result in results:
        _print_result(result, no_guarantee(experiment))
    good = [result for result in results if result.failure is None]
    program = _program()
    command = shlex.join([program, "run", str(config), *(_set(overrides))])
    print("Try next")
    for result in good[:1]:
        print(f"  {program} verify {result.directory}")
        event = "round_closed" if experiment.learns else "reported"
        print(f"  {program} trace {result.directory} --event {event}")
    if not experiment.learns:
        print(f"  {command} --set consensus=sequencer")
    elif experiment.ledger.kind != "none":
        print(f"  {command} --set ledger=none")
    if experiment.learns and experiment.privacy.kind != "none":
        print(f"  {command} --set privacy.epsilon=1")
    print(f"  {program} explain")


def _program() -> str:
    """How this user can call the command: by its name, or by its path where that is not known."""
    called = Path(sys.argv[0])
    if shutil.which("wardchain") or called.name != "wardchain":
        return "wardchain"
    return os.path.relpath(called)


def _set(overrides: list[str]) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


def _print_result(result: Result, unprotected: str | None) -> None:
    from simulation.runs.manifest import read_manifest

    manifest = read_manifest(result.directory)
    ending = "failed after" if result.failure else "done in"
    print(f"seed {result.seed}: {ending} {format_us(manifest['virtual_us'])} of virtual time")
    print(f"  directory  {result.directory}")
    if result.failure is not None:
        print(f"  error      {result.failure.message}\n")
        return
    final = _final(result.directory)
    if "throughput_per_s" in final:
        print(f"  throughput {final['throughput_per_s']:.1f} requests/s over the measured window")
        print(f"  latency    {_latency(final)}")
    else:
        print(f"  model      {_quality(final) or 'not measured'}")
    stopped = manifest["summary"].get("stopped")
    if stopped:
        print(f"  stopped    after round {stopped['round']}: {stopped['reason']}")
    if unprotected is not None:
        print(f"  privacy    {unprotected}")
    for label, text in _costs(result.directory, claims=unprotected is None):
        print(f"  {label:<10} {text}")
    print(f"  wall time  {manifest['wall_s']:.1f} s")
    print(f"  trace      {manifest['trace_digest']}")
    if manifest["invariants"]:
        print(f"  checked    {', '.join(manifest['invariants'])}")
    for path in _figures(result.directory):
        print(f"  figure     {path}")
    print()


def _quality(final: dict[str, float]) -> str:
    """A model's metrics, with their intervals where there are any."""
    ends = ("_low", "_high")
    parts: list[str] = []
    for name, value in final.items():
        low, high = (final.get(f"{name}{end}") for end in ends)
        if not name.endswith(ends):
            between = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
            parts.append(f"{name} {value:.4f}{between}")
    return ", ".join(parts)


def _latency(final: dict[str, float]) -> str:
    """A workload's latencies in words."""
    names = {"mean": "mean", "p50": "p50", "p90": "p90", "p99": "p99", "max": "longest"}
    return ", ".join(
        f"{word} {final[f'latency_{key}_us'] / US_PER_MS:.1f} ms" for key, word in names.items()
    )


def _costs(directory: Path, claims: bool) -> list[tuple[str, str]]:
    """ε, where one is claimed, and consensus latency of a finished run, from its trace."""
    from simulation.cli.progress import percentile
    from simulation.runs.artifacts import read_trace

    epsilon, latencies = 0.0, list[int]()
    for row in read_trace(directory):
        if row["event"] == "privacy_spent":
            epsilon = max(epsilon, row["epsilon"])
        elif row["event"] == "transaction_executed":
            latencies.append(row["latency_us"])
    found: list[tuple[str, str]] = []
    if epsilon and claims:
        found.append(("privacy", f"epsilon {epsilon:.3f} at the hospital that spent most"))
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    if p50 is not None and p99 is not None:
        text = f"{len(latencies)} transactions, p50 {p50 / US_PER_MS:.1f} ms, "
        found.append(("consensus", f"{text}p99 {p99 / US_PER_MS:.1f} ms"))
    return found
