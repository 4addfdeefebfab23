"""Rules about attacks that only the whole configuration can judge."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.attacks.attack import Attack, HospitalAttack
from simulation.attacks.learners.data import DataAttack
from simulation.attacks.learners.under_noising import UnderNoisingAttack
from simulation.attacks.members.overspend import OverspendAttack
from simulation.config.errors import Path, Problem
from simulation.config.experiment import Experiment
from simulation.federation.params import OWN_CLIENT_APP
from simulation.learning.params import DpSgdParams


def attack_problems(experiment: Experiment) -> Iterator[Problem]:
    """Everything that attacks need and the rest of the configuration does not have."""
    if experiment.attacks and not experiment.learns:
        yield Problem(
            ("attacks",),
            "a workload trains nothing that could be attacked; use faults with kind: behave for "
            "replicas that lie",
        )
        return
    for position, attack in enumerate(experiment.attacks):
        path: Path = ("attacks", position)
        yield from _when(experiment, attack, path)
        yield from _where(experiment, attack, path)
        yield from _who(experiment, attack, path)


def _when(experiment: Experiment, attack: Attack, path: Path) -> Iterator[Problem]:
    rounds = experiment.federation.rounds
    if attack.from_round > rounds:
        yield Problem(
            (*path, "from_round"),
            f"rounds are 1 to {rounds}, got {attack.from_round}; it would never begin",
        )


def _where(experiment: Experiment, attack: Attack, path: Path) -> Iterator[Problem]:
    kind = experiment.ledger.kind
    if kind not in attack.ledgers:
        yield Problem(
            (*path, "kind"),
            f"{attack.name} attacks what ledger: {kind} does not have; use ledger: "
            + " or ".join(attack.ledgers),
        )
    if isinstance(attack, UnderNoisingAttack) and not isinstance(experiment.privacy, DpSgdParams):
        yield Problem((*path, "kind"), "there is no noise to add less of; use privacy.kind: dp_sgd")
    if isinstance(attack, OverspendAttack) and getattr(experiment.privacy, "cap", None) is None:
        yield Problem((*path, "kind"), "there is no budget to overspend; give privacy.cap a value")
    if isinstance(attack, DataAttack) and experiment.federation.client_app != OWN_CLIENT_APP:
        yield Problem(
            (*path, "kind"),
            f"{attack.name} changes the records that the program's own ClientApp trains on, but "
            "another app is named; use an attack on the update, or change the records in your app",
        )


def _who(experiment: Experiment, attack: Attack, path: Path) -> Iterator[Problem]:
    last = experiment.hospitals - 1
    victim = getattr(attack, "victim", 0)
    if not 0 <= victim <= last:
        yield Problem((*path, "victim"), f"there is no hospital {victim}; use 0 to {last}")
    if not isinstance(attack, HospitalAttack):
        return
    for place, hospital in enumerate(attack.hospitals or ()):
        if not 0 <= hospital <= last:
            yield Problem(
                (*path, "hospitals", place), f"there is no hospital {hospital}; use 0 to {last}"
            )
    if attack.fraction and not attack.count(experiment.hospitals):
        yield Problem(
            (*path, "fraction"),
            f"{attack.fraction:g} of {experiment.hospitals} hospitals is nobody; use at least "
            f"{1 / experiment.hospitals:.2g}, or 0 for a run without the attack",
        )
