"""``wardchain audit``: hold a privacy claim against what its training gives away."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from simulation.base.ids import hospital_name
from simulation.cli.exits import DIFFERENCE, DONE, emit, note
from simulation.cli.options import Config, Json, Seed, Set

if TYPE_CHECKING:
    from simulation.config.experiment import Experiment
    from simulation.federation.setting import Setting
    from simulation.learning.audit.report import AuditReport

WIDTH = 40


def audit(
    config: Config,
    set_: Set = None,
    seed: Seed = None,
    hospital: Annotated[
        int | None,
        typer.Option(help="Hospital to audit.", show_default="the one that spends most"),
    ] = None,
    canaries: Annotated[
        int, typer.Option(min=20, help="Canaries; more of them can show more.")
    ] = 1000,
    json: Json = False,
) -> int:
    """Audit one hospital's training as configured; exit code 3 when the claim is contradicted.

    Canaries are put among its records, the configured code trains on them for all rounds, and the
    models after each round are searched for them.
    """
    from simulation.config.errors import ConfigError
    from simulation.config.load import load
    from simulation.learning.audit import report as audits
    from simulation.learning.audit.sight import Subject
    from simulation.learning.params import DpSgdParams
    from simulation.runs.preflight import preflight

    experiment = load(config, set_ or (), seed)
    if experiment.model is None or not isinstance(experiment.privacy, DpSgdParams):
        raise ConfigError("privacy.kind: nothing is claimed, so there is nothing to audit")
    first = experiment.seeds[0]
    setting = preflight(experiment, [first])[first]
    subject = Subject(
        setting.trainer_of(_chosen(experiment, setting, hospital)).shard,
        experiment.model,
        experiment.training,
        experiment.privacy,
        experiment.federation.rounds,
        experiment.engine,
    )
    found = audits.audit(
        subject,
        canaries,
        first,
        committed=lambda digest: note(f"coins committed before training: {digest.hex()}"),
    )
    code = DIFFERENCE if found.findings else DONE
    if json:
        emit({**found.data(), "exit_code": code})
        return code
    for line in _lines(found):
        print(line)
    return code


def _chosen(experiment: Experiment, setting: Setting, asked: int | None) -> int:
    from simulation.config.errors import ConfigError

    if asked is not None and not 0 <= asked < experiment.hospitals:
        raise ConfigError(f"--hospital: {asked} is none of the {experiment.hospitals} hospitals")
    if asked is not None:
        return asked
    plans = [setting.trainer_of(h).plan for h in range(setting.hospitals)]
    spent = [0.0 if plan is None else plan.planned_epsilon for plan in plans]
    return spent.index(max(spent))


def _lines(found: AuditReport) -> list[str]:
    estimate = math.inf if found.conformance is None else found.conformance
    values = [
        ("claimed", found.claimed),
        ("one-run bound", found.one_run),
        ("one-run ceiling", found.one_run_ceiling),
        ("f-DP bound", found.f_dp),
        ("f-DP ceiling", found.f_dp_ceiling),
        ("estimate", estimate),
    ]
    finite = [value for _, value in values if math.isfinite(value)]
    scale = WIDTH / min(max(finite), 3 * found.claimed)
    lines = [
        (
            f"{hospital_name(found.hospital)}: {found.units} {found.unit}s and {found.canaries} "
            f"canaries, {found.rounds} rounds, delta {found.delta:g}"
        ),
        "",
    ]
    for name, value in values:
        bar = "#" * (WIDTH + 1 if value * scale > WIDTH else round(value * scale))
        lines.append(f"{name:<15} {value:8.3f}  {bar}")
    lines += [
        "",
        f"noise {found.sigma_seen:.4f}, planned {found.sigma_planned:.4f}",
        f"clipped gradients {found.clip_seen:.3f} of the clipping norm",
        f"{found.right} of {found.guesses} guesses right",
        f"coins {found.commitment[:16]}..., revealed with their salt by --json",
        "",
        *(f"contradiction: {text}" for text in found.findings),
    ]
    if not found.findings:
        lines += [
            "nothing that was seen contradicts the claim, which does not prove it:",
            "a bound cannot exceed its ceiling, and no audit sees how batches are drawn",
        ]
    return lines
