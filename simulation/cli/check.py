"""``wardchain check``: is this configuration right, what does it mean, what will it take?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.base.ids import hospital_name
from simulation.base.units import format_bytes, format_us
from simulation.cli.exits import DONE, emit, note
from simulation.cli.options import Config, Json, Seed, Set

if TYPE_CHECKING:
    from simulation.runs.estimate import Estimate


def check(config: Config, set_: Set = None, seed: Seed = None, json: Json = False) -> int:
    """Check a configuration against its data; print it resolved, with an estimate of the run."""
    from simulation.config.concerns import concerns
    from simulation.config.dump import config_hash, to_data, to_yaml
    from simulation.config.load import load
    from simulation.config.study import load_study
    from simulation.config.sweep import Size
    from simulation.runs.estimate import estimate
    from simulation.runs.preflight import preflight

    experiment = load(config, set_ or (), seed)
    # Every point of every size is judged here, so that no sweep stops half-way over a typing error.
    sizes = {size: load_study(config, set_ or (), seed, size) for size in Size}
    plans = {s.value: {"points": len(x.points), "seeds": len(x.seeds)} for s, x in sizes.items()}
    swept = any(plan["points"] > 1 for plan in plans.values())
    settings = preflight(experiment, experiment.seeds)
    first = experiment.seeds[0]
    found = estimate(experiment, settings[first]) if first in settings else None
    warnings = concerns(experiment)
    if json:
        emit(
            {
                "warnings": warnings,
                "config": to_data(experiment),
                "config_hash": config_hash(experiment),
                "sweep": plans if swept else None,
                "estimate": None if found is None else {"seed": first, **found.data()},
            }
        )
        return DONE
    print(to_yaml(experiment), end="")
    print(f"\n# hash {config_hash(experiment)}")
    if found is None:
        # What a workload takes depends on what it finds out.
        print(f"# {experiment.replicas} replicas, {experiment.nodes - experiment.replicas} others")
    else:
        print(f"# estimate for seed {first}:")
        for line in _lines(found):
            print(f"#   {line}")
    for name, plan in plans.items() if swept else ():
        runs = plan["points"] * plan["seeds"]
        print(f"# sweep, {name}: {plan['points']} points x {plan['seeds']} seeds = {runs} runs")
    for warning in warnings:
        note(f"warning: {warning}")
    note(f"{config}: right")
    return DONE


def _lines(found: Estimate) -> list[str]:
    low, high = found.messages
    lines = [
        f"{found.hospitals} hospitals, {found.replicas} replicas, {found.rounds} rounds",
        f"model: {found.parameters} parameters, {format_bytes(found.model_bytes)}",
        f"models on the wire: {format_bytes(found.round_bytes)} a round",
        f"training: {found.steps} steps over all hospitals and rounds",
    ]
    if found.replicas:
        lines.append(
            f"ledger: {found.transactions} transactions in {found.decisions[0]} to "
            f"{found.decisions[1]} decisions of {found.messages_per_decision} messages: "
            f"{low} to {high} consensus messages"
        )
    for plan in found.plans:
        text = (
            f"{hospital_name(plan.hospital)}: {plan.training_records} training records, "
            f"{plan.steps} steps and {format_us(plan.training_us)} a round"
        )
        if plan.sigma is not None:
            text += f", sigma {plan.sigma:.3f}, sampling {plan.sampling_rate:.3f}"
            text += f", epsilon {plan.epsilon:.2f} after the last round"
        lines.append(text)
    return lines
