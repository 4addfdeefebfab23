"""One experiment: the parameters of every part, and the few that belong to none.

Every field below is a section of a configuration file, in this order. A section's parameters are
declared, documented and validated in the module that uses them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from simulation.attacks.registry import AttackParams
from simulation.base.ids import HospitalId
from simulation.config.sweep import SweepParams, ToleranceParams
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.registry import ConsensusParams
from simulation.federation.params import FederationParams, TrainingSetting
from simulation.learning.engines.params import EngineParams, InlineParams
from simulation.learning.params import (
    ComputeParams,
    EvaluationParams,
    ModelParams,
    NoPrivacy,
    PrivacyParams,
    TrainingParams,
)
from simulation.learning.screening import NoScreening, ScreeningParams
from simulation.network.params import NetworkParams
from simulation.nodes.changes import MembershipChange, founders
from simulation.nodes.costs import CryptoCosts
from simulation.nodes.faults import FaultParams
from simulation.nodes.loads import Load, NoLoad, WorkloadParams
from simulation.nodes.params import CommitRevealLedger, LedgerParams
from simulation.records.params import DataParams
from simulation.records.partition_params import NaturalParams, PartitionParams
from simulation.vault.params import VaultParams

MAX_HOSPITALS = 10_000


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A federation of hospitals, what it learns and on what machinery."""

    name: str
    """Short name of the experiment, the same as its file's: letters, digits, ``-`` and ``_``."""

    seeds: tuple[int, ...] = (42,)
    """One run for each seed. They are no part of the configuration's hash."""

    hospitals: int
    """Number of hospitals. Each holds its records, trains, and keeps a copy of the ledger."""

    data: DataParams | None = None
    """Where the records come from. Left out only with a workload, which trains nothing."""

    partition: PartitionParams = NaturalParams()
    """How the records are dealt to the hospitals."""

    model: ModelParams | None = None
    """What the hospitals train together. Left out only with a workload."""

    training: TrainingParams = TrainingParams()
    """How a hospital trains between two aggregations."""

    engine: EngineParams = InlineParams()
    """How the trainings of a round are carried out on the machine that simulates."""

    privacy: PrivacyParams = NoPrivacy()
    """What protects a hospital's records in the updates that leave it."""

    federation: TrainingSetting = FederationParams()
    """Rounds, aggregation strategy, deadline, and the Flower apps to run."""

    evaluation: EvaluationParams = EvaluationParams()
    """What is measured of the models."""

    ledger: LedgerParams = CommitRevealLedger()
    """What of a round goes to the ledger; ``none`` is plain federated learning."""

    vault: VaultParams = VaultParams()
    """Where the updates' bytes lie, how often, and sealed from whom. Unused with ``ledger:
    none``."""

    consensus: ConsensusParams = PbftParams()
    """How the replicas of the ledger agree on one order. Unused with ``ledger: none``."""

    network: NetworkParams = NetworkParams()
    """Cables between the nodes: latency and bandwidth."""

    compute: ComputeParams = ComputeParams()
    """What training costs in virtual time."""

    crypto: CryptoCosts = CryptoCosts()
    """What cryptography and execution cost in virtual time."""

    workload: WorkloadParams = NoLoad()
    """Requests of clients in place of learning, to measure throughput and latency alone; ``none``
    for a run that learns. A workload uses consensus, network, crypto and faults, nothing else."""

    membership: tuple[MembershipChange, ...] = ()
    """Who joins, leaves, gets another key or is revoked, and before which round. A hospital whose
    first change is to join is no founder of the chain."""

    faults: tuple[FaultParams, ...] = ()
    """What breaks, and when: by virtual time, by height of the ledger or by round."""

    screening: ScreeningParams = NoScreening()
    """Whether a round's accepted updates are compared with each other, for copies and free-riders.
    """

    attacks: tuple[AttackParams, ...] = ()
    """Who strays from the protocol, and how: hospitals that learn or commit dishonestly, or the
    coordinator. Replicas that lie about the order are ``faults`` of ``kind: behave``."""

    def __post_init__(self) -> None:
        """Check the fields that belong to no part."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", self.name):
            raise ValueError(
                f"name: must be 1 to 64 letters, digits, '-' or '_', got {self.name!r}; "
                "run directories are named after it"
            )
        if not self.seeds:
            raise ValueError("seeds: is empty; list at least one, e.g. [42]")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: one is listed twice in {list(self.seeds)}; remove it")
        if not all(0 <= seed < 2**63 for seed in self.seeds):
            raise ValueError(f"seeds: must be between 0 and 2^63 - 1, got {list(self.seeds)}")
        if not 1 <= self.hospitals <= MAX_HOSPITALS:
            raise ValueError(
                f"hospitals: must be between 1 and {MAX_HOSPITALS}, got {self.hospitals}"
            )

    @property
    def replicas(self) -> int:
        """Replicas of the ledger: hospitals 0 to n - 1; 0 when learning with ``ledger: none``."""
        if self.ledger.kind == "none" and self.learns:
            return 0
        return len(self.founders) if self.consensus.replicas is None else self.consensus.replicas

    @property
    def founders(self) -> tuple[HospitalId, ...]:
        """The hospitals that are members from the start."""
        return founders(self.membership, self.hospitals)

    @property
    def learns(self) -> bool:
        """Whether a model is trained; a workload trains none."""
        return isinstance(self.workload, NoLoad)

    @property
    def nodes(self) -> int:
        """All nodes: hospitals and, last, the coordinator; replicas and clients of a workload."""
        if not isinstance(self.workload, Load):
            return self.hospitals + 1
        outside = self.workload.clients if self.workload.place == "outside" else 0
        return self.replicas + outside

    @property
    def unreliable(self) -> bool:
        """Whether messages may get lost or come twice, so that whoever sends has to repeat."""
        network = self.network
        return bool(self.faults or network.loss or network.duplicate or network.reorder)


@dataclass(frozen=True, kw_only=True)
class Configuration(Experiment):
    """All that a file may say."""

    sweep: SweepParams | None = None
    """Axes along which the rest of the file varies; `wardchain sweep` runs every point, `wardchain
    run` the file without them."""

    tolerances: ToleranceParams = ToleranceParams()
    """How far the table of this file's experiment may be from its committed reference."""

    def experiment(self) -> Experiment:
        """The experiment that the file describes without its sweep."""
        return Experiment(**{field.name: getattr(self, field.name) for field in fields(Experiment)})
