"""The ledger side of a world: keys, genesis, copies, replicas, and what must hold of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import NodeId, node_name
from simulation.base.keys import SigningKey
from simulation.base.rng import Streams
from simulation.base.tensors import model_root
from simulation.base.units import US_PER_S
from simulation.config.experiment import Experiment
from simulation.consensus import registry
from simulation.consensus.protocol import Decide
from simulation.consensus.quorum import byzantine_quorum
from simulation.contracts import default_contracts
from simulation.contracts.evidence import evidence
from simulation.contracts.rules import described
from simulation.federation.fixed import rule_for
from simulation.federation.setting import Setting
from simulation.learning.params import DpSgdParams
from simulation.ledger.chain import BlockStore, MemoryStore, SqliteStore
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.genesis import Genesis, Member
from simulation.ledger.runtime import Runtime
from simulation.network.clock import Clock
from simulation.nodes.injector import Resident
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.node import Node
from simulation.nodes.params import CommitRevealLedger, HashOnlyLedger
from simulation.nodes.properties import Watch
from simulation.nodes.replica import ReplicaHost
from simulation.trace.events import Event

MILLION = 1_000_000


class Ledgers:
    """One ledger copy for every node, and a consensus replica for the first n of them.

    Args:
        experiment: what is run.
        ledger: its section about the ledger.
        auditor: public key of who may open every object of the vaults; None where none is sealed.
        setting: the task, for the genesis.
        streams: of the run's seed; the keys come from it.
        nodes: hospitals and, last, the coordinator.
        clock: of the run.
        record: takes the trace's events.
        out: run directory; none keeps everything in memory.
    """

    def __init__(
        self,
        experiment: Experiment,
        ledger: CommitRevealLedger | HashOnlyLedger,
        auditor: bytes | None,
        setting: Setting,
        streams: Streams,
        nodes: Sequence[Node],
        clock: Clock,
        record: Callable[[Event], None],
        out: Path | None,
    ) -> None:
        self._experiment, self._setting = experiment, setting
        self._auditor = auditor
        self._kind = ledger.store
        self._out = out
        self._hospitals = setting.hospitals
        consensus = experiment.consensus
        self.replicas = consensus.replicas or self._hospitals
        self.spec = registry.PROTOCOLS[consensus.kind]
        self.watch = Watch(consensus, self.replicas, experiment.faults, lambda: clock.now)
        self.services: list[LedgerService] = []
        self.hosts: list[ReplicaHost] = []
        keys = [SigningKey(streams.key("key", node.id)) for node in nodes]
        self.genesis = self._make_genesis(keys)
        if out is not None:
            (out / "genesis.cbor").write_bytes(self.genesis.encoded)
        # Copies that share a runtime share one real execution of a block; each is charged for it.
        self._contracts = default_contracts()
        self._runtime = Runtime(self._contracts)
        for node, key in zip(nodes, keys, strict=True):
            service = LedgerService(node, self._copy(node.id), key, ledger.expiry_blocks, record)
            service.on_request = self.watch.submitted
            service.reload = partial(self._reload, service)
            self.services.append(service)
        self.services[-1].gives_up = True
        self._connect(record)
        if experiment.unreliable:
            for service in self.services:
                service.synchronise()

    # ---- construction ---------------------------------------------------------------------------

    def _make_genesis(self, keys: Sequence[SigningKey]) -> Genesis:
        params, replicas = self._experiment, self.replicas
        # A certificate needs an honest majority of signers, and no more than are sure to be there.
        tolerated = self.spec.tolerates(replicas)
        quorum = min(byzantine_quorum(replicas).size, replicas - tolerated)
        hospitals = self._hospitals
        members = tuple(
            Member(node, "hospital" if node < hospitals else "coordinator", key.public.encoded)
            for node, key in enumerate(keys)
        )
        initial = model_root(self._setting.initial) if params.federation.uses_own_apps else None
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
                **self._protocol(),
            },
        )

    def _protocol(self) -> dict[str, Value]:
        """What the task contract holds everybody to."""
        ledger, federation = self._experiment.ledger, self._experiment.federation
        known: dict[str, Value] = {"protocol": ledger.kind, "auditor": self._auditor}
        privacy, data = self._experiment.privacy, self._experiment.data
        if isinstance(privacy, DpSgdParams) and data is not None:
            cap_e6 = None if privacy.cap is None else round(privacy.cap * MILLION)
            unit = f"{data.kind}:{privacy.unit}"
            known["privacy"] = {"unit": unit, "cap_e6": cap_e6}
        if isinstance(ledger, CommitRevealLedger):
            known["rule"] = described(rule_for(federation))
            known["min_updates"] = federation.min_updates
            known["deadlines"] = {
                "commit_blocks": ledger.commit_blocks,
                "commit_us": round(federation.round_deadline_s * US_PER_S),
                "reveal_blocks": ledger.reveal_blocks,
                "reveal_us": round(ledger.reveal_deadline_s * US_PER_S),
            }
        return known

    def guarantee(self) -> str:
        """Who stands behind the run's aggregates, in words."""
        ledger = self._experiment.ledger
        if not isinstance(ledger, CommitRevealLedger):
            return "by the coordinator alone, over the updates that it chose"
        if rule_for(self._experiment.federation) is None:
            return "by the coordinator; replicas checked which updates went in, not the arithmetic"
        return "in integers; a quorum of replicas recomputed each aggregate before it stood"

    def evidence(self) -> list[str]:
        """What the ledger holds against its members, one line each."""
        return [
            f"round {e.round}: {node_name(e.node, self._hospitals)}: {e.kind}"
            for e in evidence(self.services[-1].copy)
        ]

    def _copy(self, node: NodeId, store: BlockStore | None = None) -> LedgerCopy:
        kept = self._open_store(node) if store is None else store
        return LedgerCopy(self.genesis, self._contracts, kept, node, runtime=self._runtime)

    def _open_store(self, node: NodeId) -> BlockStore:
        if self._out is None or self._kind == "memory":
            return MemoryStore()
        folder = self._out / "ledger"
        folder.mkdir(parents=True, exist_ok=True)
        return SqliteStore(folder / f"{node_name(node, self._hospitals)}.sqlite")

    def _reload(self, service: LedgerService) -> LedgerCopy:
        """A copy from what its store holds: every block is executed again from the genesis.

        A store in memory stands for a disk here, because a run without files has none.
        """
        store = service.copy.store
        if isinstance(store, SqliteStore):
            store.close()
            return self._copy(service.node.id)
        return self._copy(service.node.id, store)

    def _connect(self, record: Callable[[Event], None]) -> None:
        """Replicas get their core and their peers, followers their feeders."""
        consensus, replicas = self._experiment.consensus, self.replicas
        peers = range(replicas)
        followers = range(replicas, len(self.services))
        count = self.spec.tolerates(replicas) + 1
        for service in self.services:
            node = service.node
            if node.id >= replicas:
                service.follow(_feeders(node.id, replicas, count))
                continue
            fed = [f for f in followers if node.id in _feeders(f, replicas, count)]
            service.serve([peer for peer in peers if peer != node.id], fed)
            build = partial(registry.build, node.id, replicas, consensus)
            host = ReplicaHost(
                node,
                build(),
                peers,
                self.spec.messages,
                partial(self._execute, node.id),
                record,
                build,
                self.watch.of(node.id),
            )
            self.hosts.append(host)
            service.propose = host.propose
            service.stir = host.stir

    def _execute(self, replica: NodeId, decision: Decide) -> Digest:
        state = self.services[replica].execute(decision)
        self.watch.executed(replica, decision, state, self.hosts[replica].core)
        return state

    def residents(self, node: NodeId) -> list[Resident]:
        """What of this side lives on a node, for the fault schedule."""
        return [self.services[node]]

    def close(self) -> None:
        """Close all stores."""
        for service in self.services:
            service.copy.store.close()


def _feeders(follower: NodeId, replicas: int, count: int) -> list[NodeId]:
    """The replicas that feed a follower: so many, spread evenly over the followers."""
    return sorted((follower + k) % replicas for k in range(count))
