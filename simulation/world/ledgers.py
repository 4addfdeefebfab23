"""The ledger side of a world: keys, genesis, copies, replicas, and what must hold of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from simulation.base.digest import Digest
from simulation.base.ids import NodeId, node_name
from simulation.base.keys import SigningKey
from simulation.base.rng import Streams
from simulation.config.experiment import Experiment
from simulation.consensus import registry
from simulation.consensus.protocol import Decide, Replica, Request
from simulation.contracts import default_contracts
from simulation.contracts.evidence import evidence
from simulation.federation.fixed import rule_for
from simulation.federation.setting import Setting
from simulation.ledger.chain import BlockStore, MemoryStore, SqliteStore
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Runtime
from simulation.ledger.state import Journal, Staged, State
from simulation.network.clock import Clock
from simulation.nodes.changes import MembershipChange
from simulation.nodes.delegate import Delegate, Schedule
from simulation.nodes.injector import Resident
from simulation.nodes.instance import Group
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.node import Node
from simulation.nodes.params import CommitRevealLedger, HashOnlyLedger
from simulation.nodes.properties import Watch, liars
from simulation.nodes.replica import ReplicaHost
from simulation.nodes.roles import Casting
from simulation.trace.events import EpochBegan, Event
from simulation.world.founding import found


class _OneGenesis(Runtime):
    """A runtime whose copies share the entries of their first state, which are made once.

    A genesis names every member, so that making it anew for each would take their number squared.
    """

    _first: Staged | None = None

    def initial_state(self, genesis: Genesis) -> State:
        """The state at height 0; all calls are for one genesis."""
        if self._first is None:
            journal = Journal(State())
            for key, value in super().initial_state(genesis).items():
                journal.put(key, value)
            self._first = State().stage(journal.entries)
        state = State()
        state.commit(self._first)
        return state


class Ledgers:
    """One ledger copy for every node, and a consensus replica for those that vote.

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
        self._experiment = experiment
        self._kind = ledger.store
        self._out = out
        self._record = record
        self._streams = streams
        self._clock = clock
        self._hospitals = setting.hospitals
        self._requests: list[Request] = []
        self._watches: dict[int, Watch] = {}
        self.spec = registry.PROTOCOLS[experiment.consensus.kind]
        keys = [SigningKey(streams.key("key", node.id)) for node in nodes]
        self.genesis = found(experiment, setting, keys, auditor)
        if out is not None:
            (out / "genesis.cbor").write_bytes(self.genesis.encoded)
        # Copies that share a runtime share one real execution of a block; each is charged for it.
        self._contracts = default_contracts()
        self._runtime = _OneGenesis(self._contracts)
        casting = Casting([node.id for node in nodes], self.spec.tolerates, self._returns)
        self.services: list[LedgerService] = []
        self.hosts: dict[NodeId, ReplicaHost] = {}
        """Of every node that votes at any time."""
        for node, key in zip(nodes, keys, strict=True):
            copy = self._copy(node.id)
            service = LedgerService(node, copy, key, ledger.expiry_blocks, record, casting)
            service.on_request = self._submitted
            service.reload = partial(self._reload, service)
            self.services.append(service)
        self.services[-1].gives_up = True
        for service in self.services[:-1]:
            if service.votes or experiment.membership:
                self._host(service)
        if experiment.unreliable:
            for service in self.services:
                service.synchronise()
        self.schedule = Schedule(experiment.membership, self._new_key)
        self._delegates = [
            Delegate(service, experiment.membership, self._new_key)
            for service in self.services
            if experiment.membership
        ]

    # ---- construction ---------------------------------------------------------------------------

    def _new_key(self, change: MembershipChange) -> SigningKey:
        """The key that a hospital has after a change: its first one, when it joins as it is."""
        who, changes = change.hospital, self._experiment.membership
        if change.kind == "join" and who not in self._experiment.founders:
            first = min(other.round for other in changes if other.hospital == who)
            if change.round == first:
                return SigningKey(self._streams.key("key", who))
        return SigningKey(self._streams.key("key", who, change.kind, change.round))

    def _returns(self, node: NodeId, after: int) -> bool:
        """Whether a hospital is to join after a round."""
        changes = self._experiment.membership
        return any(c.kind == "join" and c.hospital == node and c.round > after for c in changes)

    def _host(self, service: LedgerService) -> None:
        """Give a node what runs its consensus cores, and a core if it votes from the start."""
        node = service.node
        group = Group(0, self.genesis.voters.ids)
        core, build = None, None
        if service.votes:
            build = self._builder(node.id, group)
            core = build()
        host = ReplicaHost(
            node,
            core,
            group.members,
            self.spec.messages,
            partial(self._execute, node.id, group),
            self._record,
            build,
            None if core is None else self.watch_of(group).of(group.members.index(node.id)),
        )
        self.hosts[node.id] = host
        service.order = host.propose
        service.stir = host.stir
        service.on_settled = host.retire
        service.on_step_back = host.end
        service.on_epoch = partial(self._begin, service, host)

    def _builder(self, node: NodeId, group: Group) -> Callable[[], Replica[Any]]:
        members = group.members
        return partial(
            registry.build, members.index(node), len(members), self._experiment.consensus
        )

    def _begin(self, service: LedgerService, host: ReplicaHost) -> None:
        """A node has reached a new epoch: it votes in it, or it does not any more."""
        node, epoch = service.node, service.copy.epoch
        group = Group(epoch.number, epoch.voters.ids)
        now, members = self._clock.now, len(group.members)
        self._record(EpochBegan(now, node.id, epoch.number, epoch.since, members, service.votes))
        if not service.votes:
            host.end()
            return
        watch = self.watch_of(group).of(group.members.index(node.id))
        execute = partial(self._execute, node.id, group)
        host.begin(group, self._builder(node.id, group), execute, watch)

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

    # ---- properties -----------------------------------------------------------------------------

    @property
    def watches(self) -> list[Watch]:
        """What holds the replicas to their protocol's properties, by epoch."""
        return [self._watches[epoch] for epoch in sorted(self._watches)]

    def watch_of(self, group: Group) -> Watch:
        """The watch of an epoch; one that is new has seen every request that was ever made."""
        watch = self._watches.get(group.epoch)
        if watch is None:
            experiment = self._experiment
            watch = Watch(
                experiment.consensus, group.members, experiment.faults, lambda: self._clock.now
            )
            for request in self._requests:
                watch.submitted(request)
            self._watches[group.epoch] = watch
        return watch

    def judge(self) -> None:
        """Say what was violated so far; see `Watch.judge`."""
        for watch in self.watches:
            watch.judge()

    def is_honest(self, node: NodeId) -> bool:
        """Whether the fault schedule never makes a node's replica lie."""
        return node not in liars(self._experiment.faults)

    def _submitted(self, request: Request) -> None:
        if self._experiment.membership:
            self._requests.append(request)
        for watch in self.watches:
            watch.submitted(request)

    def _execute(self, node: NodeId, group: Group, decision: Decide) -> Digest:
        core = self.hosts[node].core
        state = self.services[node].execute(decision)
        self.watch_of(group).executed(group.members.index(node), decision, state, core)
        return state

    # ---- words ----------------------------------------------------------------------------------

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

    def residents(self, node: NodeId) -> list[Resident]:
        """What of this side lives on a node, for the fault schedule."""
        return [self.services[node], *self._delegates[node : node + 1]]

    def close(self) -> None:
        """Close all stores."""
        for service in self.services:
            service.copy.store.close()
