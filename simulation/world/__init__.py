"""A world: one `Experiment`, one seed, one clock, from the first event to the outcome."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulation.base.ids import HospitalId
from simulation.config.experiment import Experiment
from simulation.federation.strategies import check_strategy_args
from simulation.nodes.conduct import Conduct
from simulation.trace.recorder import Listener
from simulation.world.baselines import Apart
from simulation.world.federated import World
from simulation.world.load import LoadWorld
from simulation.world.outcome import InvariantError, Outcome
from simulation.world.setting import make_setting

__all__ = ["InvariantError", "Outcome", "World", "make_setting", "simulate"]


def simulate(
    experiment: Experiment,
    seed: int,
    out: Path | None = None,
    listeners: Sequence[Listener] = (),
    conducts: Mapping[HospitalId, Conduct] | None = None,
) -> Outcome:
    """Run one experiment with one seed; write ledgers and vault below ``out`` when given.

    ``conducts`` are hospitals that behave as no attack in the configuration has a name for.

    Raises:
        ValueError: for a configuration that only the data or the apps can prove wrong.
        HospitalError: when a ClientApp raises.
        InvariantError: when a property of every run does not hold.
        PropertyViolation: when honest replicas contradict each other.
    """
    if not experiment.learns:
        return LoadWorld(experiment, seed, listeners).run()
    logging.getLogger("flwr").setLevel(logging.ERROR)
    check_strategy_args(experiment.federation)
    setting = make_setting(experiment, seed)
    if experiment.federation.kind != "federated":
        return Apart(experiment, seed, setting, listeners).run()
    world = World(experiment, seed, setting, out, listeners, conducts or {})
    return world.run()
