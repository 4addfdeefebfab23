"""Wires one `Experiment` into one SimPy environment and runs it.

    records → trainers → hospitals ─┐
    genesis → ledger copies → hosts ─┼─ network, one clock ── grid ── Flower's ServerApp
    keys, streams (one seed) ───────┘

The order of construction is the order of the picture; nothing is wired anywhere else.
"""

from __future__ import annotations

import os

# Flower reports usage to its makers unless told otherwise before it is imported.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulation.base.ids import HospitalId, NodeId, node_name
from simulation.base.keys import SigningKey
from simulation.base.rng import Streams
from simulation.base.tensors import Arrays, model_root
from simulation.config.experiment import Experiment
from simulation.consensus import registry
from simulation.consensus.quorum import byzantine_quorum
from simulation.contracts import default_contracts
from simulation.federation.codec import declared_examples
from simulation.federation.grid import SimGrid
from simulation.federation.identity import hospital_context, server_context
from simulation.federation.learner import FlowerLearner
from simulation.federation.loading import load_client_app, load_server_app
from simulation.federation.setting import Setting, bound
from simulation.federation.strategies import check_strategy_args
from simulation.learning.cost import hospital_speed, training_us
from simulation.learning.globals import seeded_globals
from simulation.learning.metrics import METRICS, evaluate
from simulation.learning.models import build_model, model_arrays, parameter_count
from simulation.learning.train import Trainer
from simulation.ledger.chain import BlockStore, MemoryStore, SqliteStore
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.genesis import Genesis, Member
from simulation.ledger.runtime import Runtime
from simulation.network.clock import Clock
from simulation.network.network import Network
from simulation.nodes.coordinator import Coordinator
from simulation.nodes.hospital import Hospital, Outbox
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.messages import Order
from simulation.nodes.node import Node
from simulation.nodes.params import CommitLedger
from simulation.nodes.replica import ReplicaHost
from simulation.records.load import load
from simulation.trace.events import Event, Measured
from simulation.trace.metrics import metric_rows
from simulation.trace.recorder import Listener, Recorder
from simulation.vault.store import DirectoryVault, MemoryVault, Vault

SETTLE_US = 600_000_000
"""Virtual time after the last round within which all ledger copies have to agree."""


@dataclass(frozen=True)
class Outcome:
    """What a run leaves behind, besides its files."""

    metrics: list[dict[str, Any]]
    """Tidy rows: round, scope, metric, value, t_us."""
    trace_digest: str
    virtual_us: int
    summary: dict[str, Any]
    """What the closing table shows: model, ledger and privacy in a few numbers."""
    invariants: list[str]
    """The properties that were checked and hold."""
    events: list[Event] = field(repr=False)
    arrays: Arrays = field(repr=False)
    """The final model."""


class InvariantError(RuntimeError):
    """A property that every run must have does not hold."""


def make_setting(experiment: Experiment, seed: int) -> Setting:
    """Records, trainers and the initial model of one task.

    Raises:
        ValueError: when the data cannot be had, or training as configured is refused.
    """
    streams = Streams(seed)
    federation = load(experiment.data, experiment.partition, experiment.hospitals, streams)
    trainers = [
        Trainer(
            shard,
            experiment.model,
            experiment.training,
            experiment.privacy,
            experiment.federation.rounds,
            streams,
        )
        for shard in federation
    ]
    # The published protocols initialise under ``torch.manual_seed(seed)``; so does this.
    module = build_model(experiment.model, len(federation.features), seed)
    return Setting(
        federation=experiment.federation,
        hospitals=len(trainers),
        initial=model_arrays(module),
        trainer_of=trainers.__getitem__,
    )


def simulate(
    experiment: Experiment,
    seed: int,
    out: Path | None = None,
    listeners: Sequence[Listener] = (),
    outboxes: Mapping[HospitalId, Outbox] | None = None,
) -> Outcome:
    """Run one experiment with one seed; write ledgers and vault below ``out`` when given.

    ``outboxes`` replaces what leaves the named hospitals: a dishonest sender around an honest core.

    Raises:
        ValueError: for a configuration that only the data or the apps can prove wrong.
        HospitalError: when a ClientApp raises.
    """
    logging.getLogger("flwr").setLevel(logging.ERROR)
    check_strategy_args(experiment.federation)
    world = World(experiment, seed, make_setting(experiment, seed), out, listeners, outboxes or {})
    return world.run()


class World:
    """All parts of one run. The constructor wires, `run` runs."""

    def __init__(
        self,
        experiment: Experiment,
        seed: int,
        setting: Setting,
        out: Path | None,
        listeners: Sequence[Listener],
        outboxes: Mapping[HospitalId, Outbox],
    ) -> None:
        self.experiment = experiment
        self.setting = setting
        self.streams = Streams(seed)
        self.recorder = Recorder(listeners)
        self.env = Clock()
        self.hospitals = setting.hospitals
        self.coordinator_id: NodeId = self.hospitals
        self.out = out
        self.services: list[LedgerService] = []
        self.server_app = load_server_app(experiment.federation.server_app)
        self.client_app = load_client_app(experiment.federation.client_app)
        count = self.hospitals + 1
        self.network = Network(self.env, count, experiment.network, self.streams)
        self.nodes = [Node(self.env, i, self.network, experiment.crypto) for i in range(count)]
        self.vault = self._make_vault()
        if isinstance(experiment.ledger, CommitLedger):
            self._build_ledger(experiment.ledger)
        self.coordinator = Coordinator(
            self.nodes[self.coordinator_id],
            self.recorder.record,
            declared_examples,
            experiment.federation.min_updates,
            self._service(self.coordinator_id),
            self.vault,
        )
        self.grid = SimGrid(self.env, self.coordinator, self.hospitals, self._observe)
        for hospital in range(self.hospitals):
            self._build_hospital(hospital, outboxes.get(hospital))

    # ---- construction ---------------------------------------------------------------------------

    def _make_vault(self) -> Vault | None:
        if not isinstance(self.experiment.ledger, CommitLedger):
            return None
        return MemoryVault() if self.out is None else DirectoryVault(self.out / "vault")

    def _build_ledger(self, ledger: CommitLedger) -> None:
        consensus = self.experiment.consensus
        replicas = consensus.replicas or self.hospitals
        spec = registry.PROTOCOLS[consensus.kind]
        keys = [SigningKey(self.streams.key("key", node.id)) for node in self.nodes]
        genesis = self._genesis(keys, replicas)
        if self.out is not None:
            (self.out / "genesis.cbor").write_bytes(genesis.encoded)
        # Copies that share a runtime share one real execution of a block; each is charged for it.
        contracts = default_contracts()
        runtime = Runtime(contracts)
        peers = range(replicas)
        followers = range(replicas, len(self.nodes))
        feeders = spec.tolerates(replicas) + 1
        for node, key in zip(self.nodes, keys, strict=True):
            store = self._store(ledger, node.id)
            copy = LedgerCopy(genesis, contracts, store, node.id, runtime=runtime)
            service = LedgerService(node, copy, key, ledger.expiry_blocks, self.recorder.record)
            self.services.append(service)
            if node.id >= replicas:
                service.follow(_feeders(node.id, replicas, feeders))
                continue
            fed = [f for f in followers if node.id in _feeders(f, replicas, feeders)]
            service.serve([peer for peer in peers if peer != node.id], fed)
            host = ReplicaHost(
                node,
                registry.build(node.id, replicas, consensus),
                peers,
                spec.messages,
                service.execute,
                self.recorder.record,
            )
            service.propose = host.propose

    def _genesis(self, keys: Sequence[SigningKey], replicas: int) -> Genesis:
        params = self.experiment
        # A certificate needs an honest majority of signers, and no more than are sure to be there.
        tolerated = registry.PROTOCOLS[params.consensus.kind].tolerates(replicas)
        quorum = min(byzantine_quorum(replicas).size, replicas - tolerated)
        members = tuple(
            Member(node, "hospital" if node < self.hospitals else "coordinator", key.public.encoded)
            for node, key in enumerate(keys)
        )
        initial = model_root(self.setting.initial) if params.federation.uses_own_apps else None
        return Genesis(
            name=params.name,
            members=members,
            replicas=replicas,
            quorum=quorum,
            task={
                "name": params.name,
                "initial_root": initial,
                "rounds": params.federation.rounds,
                "strategy": params.federation.strategy,
            },
        )

    def _store(self, ledger: CommitLedger, node: NodeId) -> BlockStore:
        if self.out is None or ledger.store == "memory":
            return MemoryStore()
        folder = self.out / "ledger"
        folder.mkdir(parents=True, exist_ok=True)
        return SqliteStore(folder / f"{node_name(node, self.hospitals)}.sqlite")

    def _service(self, node: NodeId) -> LedgerService | None:
        return self.services[node] if self.services else None

    def _build_hospital(self, hospital: HospitalId, outbox: Outbox | None) -> None:
        context = hospital_context(hospital, self.hospitals)
        learner = FlowerLearner(hospital, self.client_app, context, self.streams, self._duration_us)
        ledger = self.experiment.ledger
        everyone = isinstance(ledger, CommitLedger) and ledger.verifiers == "all"
        others = [h for h in range(self.hospitals) if h != hospital] if everyone else []
        Hospital(
            self.nodes[hospital],
            self.coordinator_id,
            learner,
            self.streams,
            self.recorder.record,
            declared_examples,
            self._service(hospital),
            self.vault,
            others,
            **({} if outbox is None else {"outbox": outbox}),
        )

    def _duration_us(self, hospital: HospitalId, order: Order) -> int:
        """Virtual time of an order at a hospital; evaluating counts as one forward pass."""
        compute, trainer = self.experiment.compute, self.setting.trainer_of(hospital)
        if order.trains:
            return trainer.training_us(compute)
        return training_us(
            compute,
            steps=1,
            batch_size=trainer.examples,
            parameters=parameter_count(self.setting.initial),
            private=False,
            speed=hospital_speed(compute, hospital, self.streams),
        )

    # ---- measurement ----------------------------------------------------------------------------

    def _observe(self, number: int, arrays: Arrays) -> dict[str, float]:
        """Measure a model at every hospital, outside the modelled world.

        Foreign apps may train another model than the configured one; that is not measured.
        """
        self._latest = arrays
        if _layout(arrays) != _layout(self.setting.initial):
            return {}
        scores = {h: self.setting.trainer_of(h).scores(arrays) for h in range(self.hospitals)}
        found = evaluate(scores)
        for scope, values in found.items():
            for metric in METRICS:
                if metric in values:
                    event = Measured(self.env.now, number, scope, metric, values[metric])
                    self.recorder.record(event)
        return found["pooled"]

    # ---- the run --------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Let Flower's ServerApp play its rounds, let the ledgers settle, check, summarise."""
        context = server_context()
        self._latest: Arrays = self.setting.initial
        try:
            with bound(self.setting), seeded_globals(self.streams.integer("server-app")):
                self.server_app(self.grid, context)
                self.grid.finish(context.state)
            self._settle()
            invariants = self._check()
        finally:
            for service in self.services:
                service.copy.store.close()
        events = self.recorder.events
        return Outcome(
            metrics=metric_rows(events),
            trace_digest=self.recorder.digest,
            virtual_us=self.env.now,
            summary=self._summary(),
            invariants=invariants,
            events=events,
            arrays=self._latest,
        )

    def _settle(self) -> None:
        """Run on until every ledger copy holds every block under a certificate."""

        def settled() -> bool:
            top = max(service.copy.height for service in self.services)
            return all(
                service.copy.height == top and (top == 0 or service.is_certified(top))
                for service in self.services
            )

        limit = self.env.now + SETTLE_US
        while self.services and not settled() and self.env.peek() <= limit:
            self.env.step()

    def _check(self) -> list[str]:
        """The properties of every finished run; raises at the first that does not hold."""
        if not self.services:
            return []
        copies = [service.copy for service in self.services]
        top = max(copy.height for copy in copies)
        for height in range(1, top + 1):
            headers = {copy.block(height).header.digest for copy in copies if copy.height >= height}
            if len(headers) > 1:
                raise InvariantError(f"agreement: ledger copies differ at height {height}")
        for copy in copies:
            name = node_name(copy.node, self.hospitals)
            if copy.height != top:
                raise InvariantError(f"liveness: {name} is at height {copy.height} of {top}")
            for height in range(1, top + 1):
                if copy.certificate(height) is None:
                    raise InvariantError(f"certificates: {name} has none for height {height}")
        return ["agreement", "certificates", "equal state roots", "liveness"]

    def _summary(self) -> dict[str, Any]:
        sent = {kind: dataclasses.asdict(count) for kind, count in self.network.sent.items()}
        summary: dict[str, Any] = {"messages": sent, "virtual_us": self.env.now}
        if self.services:
            copy = self.services[0].copy
            summary["ledger"] = {
                "chain": copy.genesis.chain_id.hex(),
                "copies": len(self.services),
                "height": copy.height,
                "head": copy.tip.digest.hex(),
                "state_root": copy.tip.state_root.hex(),
            }
        return summary


def _feeders(follower: NodeId, replicas: int, count: int) -> list[NodeId]:
    """The replicas that feed a follower: so many, spread evenly over the followers."""
    return sorted((follower + k) % replicas for k in range(count))


def _layout(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}
