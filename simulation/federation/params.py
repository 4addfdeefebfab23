"""What a configuration says about the federation: strategy, rounds, quorum of updates, apps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Union

from simulation.federation.selection import SelectAll, SelectionParams
from simulation.federation.stopping import StopWhen

IN_INTEGERS = (
    "FixedFedAvg",
    "FixedMedian",
    "FixedTrimmedMean",
    "FixedKrum",
    "FixedMultiKrum",
    "FixedBulyan",
    "FixedNormClip",
)
"""Strategies whose aggregate every replica of the ledger can compute again."""

STRATEGIES = (
    *IN_INTEGERS,
    "FedAvg",
    "FedProx",
    "FedAdam",
    "FedAdagrad",
    "FedYogi",
    "FedAvgM",
    "FedMedian",
    "FedTrimmedAvg",
    "Krum",
    "MultiKrum",
    "Bulyan",
)
"""Strategies that may be named. Those called Fixed work in integers, so that every replica of the
ledger can compute their aggregate again and reject a false one. The others are Flower's own and
keep Flower's argument names; what they make of the updates only the coordinator knows.

Not QFedAvg, which wants each hospital's training loss: a number computed from private records that
the privacy guarantee does not cover.
"""

OWN_CLIENT_APP = "simulation.flower_app:client_app"
OWN_SERVER_APP = "simulation.flower_app:server_app"


@dataclass(frozen=True, kw_only=True, slots=True)
class FederationParams:
    """Hospitals train one model together: how many rounds, by which rule, with which apps."""

    kind: Literal["federated", "central", "local"] = "federated"
    """Who trains together: the hospitals of a federation, one pool of records, or nobody."""

    rounds: int = 10
    """Training rounds."""

    strategy: str = "FixedFedAvg"
    """FixedFedAvg, FixedMedian, FixedTrimmedMean, FixedKrum, FixedMultiKrum, FixedBulyan or
    FixedNormClip (in integers: every replica recomputes the aggregate), or a stock Flower strategy:
    FedAvg, FedProx, FedAdam, FedAdagrad, FedYogi, FedAvgM, FedMedian, FedTrimmedAvg, Krum,
    MultiKrum, Bulyan."""

    strategy_args: Mapping[str, float | int | bool | str] = field(
        default_factory=dict[str, "float | int | bool | str"]
    )
    """Arguments of the strategy by Flower's own names, e.g. ``proximal_mu: 0.1`` (FedProx, and all
    in integers) or ``num_malicious_nodes: 2``. FixedTrimmedMean takes ``trim``, how many values it
    drops at each end; FixedMultiKrum ``num_nodes_to_select`` (0: all but the malicious); and
    FixedNormClip ``max_norm``, how far an update may be from the updates' median."""

    round_deadline_s: float = 3600.0
    """Virtual seconds after which a round goes on with the updates that have been committed (with
    ``ledger: commit_reveal``), or have arrived."""

    min_updates: int = 1
    """Quorum of updates: with fewer accepted ones a round is void and the model stays as it was."""

    selection: SelectionParams = field(default_factory=SelectAll)
    """Which hospitals train in a round. Only they are charged for it; noise and budget are planned
    as if they trained in every round, and no amplification by selection is claimed."""

    stop_when: StopWhen | None = None
    """When to stop before all ``rounds`` are played; left out, never."""

    client_app: str = OWN_CLIENT_APP
    """The ClientApp to run at every hospital, as ``module:object``; any Flower ClientApp works."""

    server_app: str = OWN_SERVER_APP
    """The ServerApp to run at the coordinator, as ``module:object``; any Flower ServerApp works."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds: must be at least 1, got {self.rounds}")
        if self.strategy not in STRATEGIES:
            raise ValueError(
                f"strategy: unknown strategy {self.strategy!r}; choose one of "
                f"{', '.join(STRATEGIES)}, or name your own server_app"
            )
        if not self.round_deadline_s > 0:
            raise ValueError(f"round_deadline_s: must be > 0, got {self.round_deadline_s}")
        if self.min_updates < 1:
            raise ValueError(f"min_updates: must be at least 1, got {self.min_updates}")
        for field_name in ("client_app", "server_app"):
            reference = getattr(self, field_name)
            module, _, name = reference.partition(":")
            if not module or not name:
                raise ValueError(f"{field_name}: write it as module:object, got {reference!r}")

    @property
    def uses_own_apps(self) -> bool:
        """Whether both apps are the program's own, which know its models and its privacy."""
        return self.client_app == OWN_CLIENT_APP and self.server_app == OWN_SERVER_APP


@dataclass(frozen=True, kw_only=True, slots=True)
class CentralTraining(FederationParams):
    """A baseline: all records in one place, the same splits, as many steps as the federation takes.

    Needs ``ledger: none``. Of the fields below it uses ``rounds`` alone; the others may stay as
    they are, so that little has to be overridden to turn a federation into its baseline, except
    ``selection`` and ``stop_when``, under which rounds are no longer comparable.
    """

    kind: Literal["central"] = "central"
    """Names this baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalTraining(FederationParams):
    """A baseline: every hospital trains for itself, from the same first model, for as many rounds.

    Needs ``ledger: none``. Of the fields below it uses ``rounds`` alone; the others may stay as
    they are, so that little has to be overridden to turn a federation into its baseline, except
    ``selection`` and ``stop_when``, under which rounds are no longer comparable.
    """

    kind: Literal["local"] = "local"
    """Names this baseline."""


TrainingSetting = Union[FederationParams, CentralTraining, LocalTraining]
"""Who trains together."""
