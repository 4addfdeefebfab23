"""Rules that hold between sections, where no single part can see a contradiction."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.config.attack_checks import attack_problems
from simulation.config.baseline_checks import baseline_problems
from simulation.config.errors import Problem
from simulation.config.experiment import Experiment
from simulation.config.fault_checks import fault_problems
from simulation.config.membership_checks import membership_problems
from simulation.config.privacy_checks import privacy_problems
from simulation.config.sections import documentation
from simulation.config.steering_checks import steering_problems
from simulation.consensus.registry import PROTOCOLS


def contradictions(experiment: Experiment) -> Iterator[Problem]:
    """Everything that two sections say against each other."""
    yield from _learning(experiment)
    replicas = list(_replicas(experiment))
    yield from replicas
    yield from _updates(experiment)
    yield from steering_problems(experiment)
    yield from membership_problems(experiment)
    if not replicas:
        yield from _vault(experiment)
    yield from privacy_problems(experiment)
    yield from baseline_problems(experiment)
    yield from attack_problems(experiment)
    # What a schedule may name depends on how many replicas there are.
    if not replicas:
        yield from fault_problems(experiment)


def _learning(experiment: Experiment) -> Iterator[Problem]:
    if not experiment.learns:
        return
    for name in ("data", "model"):
        if getattr(experiment, name) is None:
            meaning = documentation(Experiment)[name].split(". ", maxsplit=1)[0]
            yield Problem((name,), f"is missing; add it: {meaning}")


def _replicas(experiment: Experiment) -> Iterator[Problem]:
    if experiment.ledger.kind == "none" and experiment.learns:
        return
    protocol = PROTOCOLS[experiment.consensus.kind]
    n, hospitals = experiment.replicas, experiment.hospitals
    if n > hospitals:
        yield Problem(
            ("consensus", "replicas"),
            f"must be at most the number of hospitals ({hospitals}), got {n}; every replica is a "
            "hospital",
        )
    elif n < protocol.min_replicas:
        yield Problem(
            ("hospitals",),
            f"{hospitals} are too few: {protocol.name} needs at least {protocol.min_replicas} "
            f"replicas{_because(protocol.name)}; use hospitals >= {protocol.min_replicas}, "
            "consensus.kind: sequencer, or ledger: none",
        )


def _because(protocol: str) -> str:
    return " (n = 3f + 1 with f = 1)" if protocol == "pbft" else ""


def _updates(experiment: Experiment) -> Iterator[Problem]:
    quorum, hospitals = experiment.federation.min_updates, experiment.hospitals
    if quorum > hospitals:
        yield Problem(
            ("federation", "min_updates"),
            f"must be at most the number of hospitals ({hospitals}), got {quorum}; no round could "
            "close",
        )


def _vault(experiment: Experiment) -> Iterator[Problem]:
    copies, n = experiment.vault.replication, experiment.replicas
    if copies is None or not n or not experiment.learns:
        return
    least = PROTOCOLS[experiment.consensus.kind].tolerates(n) + 1
    if not least <= copies <= n:
        yield Problem(
            ("vault", "replication"),
            f"must be between f + 1 = {least}, because so many replicas sign for an update before "
            f"it counts, and the number of replicas ({n}); got {copies}",
        )
