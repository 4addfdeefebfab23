"""Rules about the fault schedule that only the whole configuration can judge."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.base.ids import NodeId
from simulation.config.errors import Path, Problem
from simulation.config.experiment import Experiment
from simulation.consensus.protocol import Restorable
from simulation.consensus.registry import PROTOCOLS, build
from simulation.nodes.faults import (
    BehaveFault,
    CrashFault,
    FaultParams,
    RecoverFault,
    TwinsFault,
    named_nodes,
)


def fault_problems(experiment: Experiment) -> Iterator[Problem]:
    """Everything that the schedule names and the rest of the configuration does not have."""
    for position, fault in enumerate(experiment.faults):
        path: Path = ("faults", position)
        yield from _when(experiment, fault, path)
        yield from _who(experiment, fault, path)
        match fault:
            case BehaveFault():
                yield from _liar(experiment, fault, path)
                yield from _behaviour(experiment, fault, path)
            case TwinsFault():
                yield from _liar(experiment, fault, path)
                yield from _twins(experiment, path)
            case CrashFault(memory="lost") if fault.node < experiment.replicas:
                yield from _memory(experiment, path)
            case _:
                pass


def _when(experiment: Experiment, fault: FaultParams, path: Path) -> Iterator[Problem]:
    rounds = experiment.federation.rounds
    if fault.at_height is not None and not experiment.replicas:
        yield Problem((*path, "at_height"), "there is no ledger; use at_ms or at_round")
    if fault.at_height == 0:
        yield Problem((*path, "at_height"), "the first block has height 1; use at_ms: 0")
    if fault.at_round is not None and not experiment.learns:
        yield Problem((*path, "at_round"), "a workload has no rounds; use at_ms or at_height")
    elif fault.at_round is not None and not 1 <= fault.at_round <= rounds:
        yield Problem(
            (*path, "at_round"), f"rounds are 1 to {rounds}, got {fault.at_round}; it never opens"
        )


def _who(experiment: Experiment, fault: FaultParams, path: Path) -> Iterator[Problem]:
    last = experiment.nodes - 1
    for node in named_nodes(fault):
        if not 0 <= node <= last:
            yield Problem(
                path, f"there is no node {node}; nodes are 0 to {last}{_roles(experiment)}"
            )
    if not experiment.learns:
        return
    if isinstance(fault, (CrashFault, RecoverFault)) and fault.node == experiment.hospitals:
        yield Problem(
            (*path, "node"),
            f"node {fault.node} is the coordinator, which schedules the run itself; cut it off "
            "with kind: partition instead",
        )


def _roles(experiment: Experiment) -> str:
    if not experiment.learns:
        return f", the replicas being 0 to {experiment.replicas - 1}"
    return f", {experiment.hospitals} being the coordinator"


def _liar(experiment: Experiment, fault: BehaveFault | TwinsFault, path: Path) -> Iterator[Problem]:
    replicas: NodeId = experiment.replicas
    if fault.node >= replicas:
        yield Problem(
            (*path, "node"),
            f"{fault.node} is no replica, so it cannot lie about the order; replicas are "
            + (f"0 to {replicas - 1}" if replicas else "none without a ledger"),
        )


def _behaviour(experiment: Experiment, fault: BehaveFault, path: Path) -> Iterator[Problem]:
    known = PROTOCOLS[experiment.consensus.kind].behaviours
    for name in fault.behaviour:
        if name not in known:
            yield Problem(
                (*path, "behaviour"),
                f"unknown behaviour {name!r} for {experiment.consensus.kind}; choose from "
                f"{', '.join(known)}",
            )


def _is_restorable(experiment: Experiment) -> bool:
    return isinstance(build(0, experiment.replicas, experiment.consensus), Restorable)


def _twins(experiment: Experiment, path: Path) -> Iterator[Problem]:
    if experiment.replicas and not _is_restorable(experiment):
        yield Problem(
            (*path, "kind"),
            f"{experiment.consensus.kind} keeps nothing durable, so it cannot be doubled; use "
            "kind: behave, or another protocol",
        )


def _memory(experiment: Experiment, path: Path) -> Iterator[Problem]:
    if not _is_restorable(experiment):
        yield Problem(
            (*path, "memory"),
            f"{experiment.consensus.kind} keeps nothing durable, so it cannot lose its memory; use "
            "memory: kept",
        )
