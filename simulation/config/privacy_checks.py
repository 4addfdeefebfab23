"""What the kinds of privacy ask of the rest of a configuration."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.config.errors import Problem
from simulation.config.experiment import Experiment
from simulation.federation.params import OWN_CLIENT_APP
from simulation.learning.params import DpSgdParams
from simulation.learning.trust import CentralParams, DistributedParams, DpParams

PLAIN_AVERAGES = ("FedAvg", "FedProx")
"""Strategies that keep Flower's average as it is, which its central wrapper asks for."""
OF_A_SUM = (*PLAIN_AVERAGES, "FedAvgM", "FedAdam", "FedAdagrad", "FedYogi")
"""Strategies that need no more of the updates than their weighted sum."""


def privacy_problems(experiment: Experiment) -> Iterator[Problem]:
    """Everything that the kind of privacy and another section say against each other."""
    match experiment.privacy:
        case DpParams() as privacy:
            yield from _local(experiment, privacy)
        case CentralParams():
            yield from _central(experiment)
        case _:
            pass


def _local(experiment: Experiment, privacy: DpParams) -> Iterator[Problem]:
    if isinstance(privacy, DpSgdParams) and privacy.cap is not None and not experiment.replicas:
        yield Problem(
            ("privacy", "cap"),
            "the cap is kept by the ledger, and there is none; use ledger: commit_reveal, or leave "
            "the cap out",
        )
    given, hospitals = len(privacy.hospital_epsilons), experiment.hospitals
    if given and given != hospitals:
        yield Problem(
            ("privacy", "hospital_epsilons"),
            f"needs one target for each of the {hospitals} hospitals, got {given}; use epsilon "
            "for one target for all",
        )
    if experiment.federation.client_app != OWN_CLIENT_APP:
        kind = "distributed" if isinstance(privacy, DistributedParams) else "dp_sgd"
        yield Problem(
            ("privacy", "kind"),
            f"{kind} is carried out by the program's own ClientApp, but another app is named; use "
            "privacy: none and protect the records in your own app",
        )
    if isinstance(privacy, DistributedParams):
        yield from _distributed(experiment, privacy)


def _distributed(experiment: Experiment, privacy: DistributedParams) -> Iterator[Problem]:
    yield from _without_ledger(
        experiment, "distributed", "would show single updates with their share of the noise only"
    )
    if experiment.federation.strategy not in OF_A_SUM:
        yield Problem(
            ("federation", "strategy"),
            f"{experiment.federation.strategy} looks at single updates, and only their sum is seen "
            f"under privacy.kind: distributed; use one of {', '.join(OF_A_SUM)}",
        )
    training = experiment.training
    if training.local_steps != 1 or training.momentum:
        yield Problem(
            ("training", "local_steps"),
            "must be 1, without momentum, under privacy.kind: distributed; after more steps an "
            "update is no sum of clipped gradients and noise",
        )
    if experiment.attacks:
        yield Problem(
            ("attacks",),
            "nobody could see or check single updates under privacy.kind: distributed, and noise "
            "that a hospital leaves out is missing for all; use kind: dp_sgd to study attacks",
        )
    least = experiment.hospitals - privacy.dropouts
    if experiment.federation.min_updates < least:
        yield Problem(
            ("federation", "min_updates"),
            f"must be at least {least} (hospitals less privacy.dropouts), got "
            f"{experiment.federation.min_updates}; with fewer the sum would lack noise",
        )


def _central(experiment: Experiment) -> Iterator[Problem]:
    yield from _without_ledger(experiment, "central", "would show updates without any noise")
    federation, hospitals = experiment.federation, experiment.hospitals
    if not federation.uses_own_apps:
        yield Problem(
            ("privacy", "kind"),
            "central is carried out by the program's own apps, but others are named; put Flower's "
            "wrapper around the strategy of your own ServerApp and use privacy: none here",
        )
    if federation.strategy not in PLAIN_AVERAGES:
        yield Problem(
            ("federation", "strategy"),
            f"privacy.kind: central needs Flower's plain average, got {federation.strategy}; use "
            "FedAvg or FedProx",
        )
    if federation.min_updates != hospitals:
        yield Problem(
            ("federation", "min_updates"),
            f"must be {hospitals} under privacy.kind: central, got {federation.min_updates}; the "
            "noise is that of an average of all hospitals",
        )


def _without_ledger(experiment: Experiment, kind: str, reason: str) -> Iterator[Problem]:
    if experiment.ledger.kind != "none":
        yield Problem(
            ("ledger", "kind"),
            f"{experiment.ledger.kind} {reason} to every member under privacy.kind: {kind}; use "
            "ledger: none, or privacy.kind: dp_sgd, whose updates need no secrecy",
        )
