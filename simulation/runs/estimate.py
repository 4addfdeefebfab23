"""What a run will take, computed before it: steps, models, transactions, messages, bytes.

Counts are exact where a closed form exists, and bounds where batching decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from simulation.config.experiment import Experiment
from simulation.federation.params import IN_INTEGERS
from simulation.nodes.params import CommitRevealLedger, HashOnlyLedger

if TYPE_CHECKING:
    from simulation.federation.setting import Setting
    from simulation.learning.train import Trainer

MESSAGES_PER_DECISION: dict[str, Callable[[int], int]] = {
    # Pre-prepare to all others; each backup's prepare to all others; everybody's commit (§4.2).
    "pbft": lambda n: (n - 1) + (n - 1) ** 2 + n * (n - 1),
    # Proposals and votes of four rounds: an upper bound, for a decision that stands alone.
    "hotstuff": lambda n: 8 * (n - 1),
    # Entry and answers, commit index and answers: likewise an upper bound.
    "raft": lambda n: 4 * (n - 1),
    "sequencer": lambda n: n - 1,
}
"""Messages that order one batch among n replicas, by protocol."""


@dataclass(frozen=True, slots=True)
class HospitalPlan:
    """What one hospital brings."""

    hospital: int
    training_records: int
    steps: int
    """Optimiser steps of one round."""
    training_us: int
    """Virtual time of one round's training, in microseconds."""
    sigma: float | None
    """Noise multiplier under differential privacy."""
    sampling_rate: float | None
    epsilon: float | None
    """What all planned rounds will have spent."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A run in numbers."""

    hospitals: int
    replicas: int
    rounds: int
    parameters: int
    """Numbers in the model."""
    steps: int
    """Optimiser steps of all hospitals in all rounds."""
    model_bytes: int
    """One model, as float32."""
    round_bytes: int
    """Models on the wire in one round: down to every hospital, up, and to those who check."""
    transactions: int
    """Ledger transactions of the whole run."""
    decisions: tuple[int, int]
    """Fewest and most batches that they can come in."""
    messages_per_decision: int
    """Consensus messages for one batch."""
    messages: tuple[int, int]
    """Consensus messages of the whole run, fewest and most."""
    plans: tuple[HospitalPlan, ...]

    def data(self) -> dict[str, Any]:
        """Plain data, for one JSON object."""
        return asdict(self)


def estimate(experiment: Experiment, setting: Setting) -> Estimate:
    """The estimate for one seed, whose trainers and model ``setting`` holds."""
    rounds, n, hospitals = experiment.federation.rounds, experiment.replicas, setting.hospitals
    plans = tuple(_plan(experiment, trainer) for trainer in setting.learners)
    parameters = sum(array.size for array in setting.initial.values())
    size = sum(array.nbytes for array in setting.initial.values())
    ledger = experiment.ledger
    # Each round opens, takes a commitment from every hospital and closes with an aggregate.
    transactions = rounds * (hospitals + 2) if n else 0
    decisions = (3 * rounds, transactions) if n else (0, 0)
    if isinstance(ledger, CommitRevealLedger):
        # A reveal from every hospital, and from every replica its word on the aggregate.
        recomputed = experiment.federation.strategy in IN_INTEGERS
        transactions += rounds * (hospitals + (n if recomputed else 0))
        decisions = (4 * rounds, transactions)
    each = MESSAGES_PER_DECISION[experiment.consensus.kind](n) if n else 0
    if isinstance(ledger, CommitRevealLedger):
        readers = n
    else:
        everyone = isinstance(ledger, HashOnlyLedger) and ledger.verifiers == "all"
        readers = hospitals if everyone else 0
    copies = 2 * hospitals + readers * (hospitals - 1)
    if experiment.federation.kind != "federated":
        copies = 0  # nothing is sent
    return Estimate(
        hospitals=hospitals,
        replicas=n,
        rounds=rounds,
        parameters=parameters,
        steps=rounds * sum(plan.steps for plan in plans),
        model_bytes=size,
        round_bytes=copies * size,
        transactions=transactions,
        decisions=decisions,
        messages_per_decision=each,
        messages=(decisions[0] * each, decisions[1] * each),
        plans=plans,
    )


def _plan(experiment: Experiment, trainer: Trainer) -> HospitalPlan:
    privacy = trainer.plan
    return HospitalPlan(
        hospital=trainer.hospital,
        training_records=trainer.examples,
        steps=trainer.training.steps(trainer.examples),
        training_us=trainer.training_us(experiment.compute),
        sigma=None if privacy is None else privacy.sigma,
        sampling_rate=None if privacy is None else privacy.sampling_rate,
        epsilon=None if privacy is None else privacy.planned_epsilon,
    )
