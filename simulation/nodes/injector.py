"""The hand that makes a fault schedule happen.

It acts on the network's weather, on a node or on a replica's core; nothing else in the program
knows that faults exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, assert_never

from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.byzantine import Byzantine
from simulation.consensus.registry import PROTOCOLS
from simulation.network.clock import Alarm, Clock
from simulation.network.network import Network
from simulation.nodes.faults import (
    BehaveFault,
    CrashFault,
    FaultParams,
    HealFault,
    HoldFault,
    PartitionFault,
    RecoverFault,
    SlowFault,
    TwinsFault,
    WeatherFault,
    named_nodes,
)
from simulation.nodes.node import Node
from simulation.nodes.replica import ReplicaHost
from simulation.trace.events import Event, Reported

ROUND = "round"
HEIGHT = "height"


class Resident(Protocol):
    """What lives on a node besides its replica, and stops and starts with it."""

    def crash(self, lose_memory: bool) -> None:
        """The node has stopped: what was under way is lost; so is memory, when it is told so."""
        ...

    def restore(self) -> None:
        """The node starts again: come back from stable storage, without a word to anybody yet."""
        ...

    def resume(self) -> None:
        """Node and replica are up again: go on."""
        ...


class FaultInjector:
    """Makes a schedule's faults happen.

    Whoever drives rounds calls `reached` with `ROUND`; whoever executes decisions with `HEIGHT`.

    Raises:
        ValueError: when the schedule names a node or behaviour that does not exist.
    """

    def __init__(
        self,
        clock: Clock,
        network: Network,
        nodes: Sequence[Node],
        hosts: Mapping[ReplicaId, ReplicaHost],
        faults: Sequence[FaultParams],
        *,
        protocol: str,
        seed: int,
        record: Callable[[Event], None],
        residents: Mapping[NodeId, Sequence[Resident]] | None = None,
    ) -> None:
        self._residents = residents or {}
        self._clock = clock
        self._network = network
        self._nodes = nodes
        self._hosts = hosts
        self._known = PROTOCOLS[protocol].behaviours
        self._seed = seed
        self._record = record
        self._waiting: dict[tuple[str, int], list[FaultParams]] = {}
        for fault in faults:
            self._check(fault)
            if fault.at_ms is not None:
                self._at(us_from_ms(fault.at_ms), fault)
            elif fault.at_height is not None:
                self._waiting.setdefault((HEIGHT, fault.at_height), []).append(fault)
            elif fault.at_round is not None:
                self._waiting.setdefault((ROUND, fault.at_round), []).append(fault)

    def reached(self, what: str, number: int) -> None:
        """A round has opened, or a height has been reached; repeats do nothing."""
        for fault in self._waiting.pop((what, number), ()):
            # Through the heap: a node must not crash in the middle of its own step.
            self._at(self._clock.now, fault)

    def _at(self, at_us: int, fault: FaultParams) -> None:
        Alarm(self._clock, lambda: self.inject(fault)).arm(at_us)

    def _check(self, fault: FaultParams) -> None:
        if isinstance(fault, BehaveFault):
            for name in fault.behaviour:
                if name not in self._known:
                    raise ValueError(
                        f"behaviour: unknown {name!r}; choose from {', '.join(self._known)}"
                    )
        if isinstance(fault, (BehaveFault, TwinsFault)) and fault.node not in self._hosts:
            raise ValueError(f"node: {fault.node} is no replica, so it cannot lie")
        for node in named_nodes(fault):
            if not 0 <= node < len(self._nodes):
                raise ValueError(f"node: there is no node {node}; nodes are 0 to {self._last}")

    @property
    def _last(self) -> NodeId:
        return len(self._nodes) - 1

    def inject(self, fault: FaultParams) -> None:
        """Let one fault happen now."""
        weather = self._network.weather
        match fault:
            case CrashFault():
                self._crash(fault)
            case RecoverFault():
                self._recover(fault.node)
            case PartitionFault():
                weather.partition(fault.groups, fault.one_way)
            case HealFault():
                self._heal()
            case SlowFault():
                to = fault.to
                links = weather.links_of(fault.node) if to is None else [(fault.node, to)]
                weather.slow(links, us_from_ms(fault.extra_ms))
                self._nodes[fault.node].slowness = fault.processor
            case HoldFault():
                weather.hold([(fault.node, fault.to)])
            case WeatherFault():
                weather.set(
                    fault.loss, fault.duplicate, fault.reorder, us_from_ms(fault.reorder_ms)
                )
            case BehaveFault():
                self._behave(fault)
            case TwinsFault(node=node, peers=peers):
                self._hosts[node].double(frozenset(peers))
            case _:
                assert_never(fault)
        node = getattr(fault, "node", -1)
        self._record(Reported(self._clock.now, node, "fault", 0, 0, fault.kind))

    def _crash(self, fault: CrashFault) -> None:
        host = self._hosts.get(fault.node)
        if self._nodes[fault.node].down:
            return
        if host is None:
            self._nodes[fault.node].crash()
        else:
            host.crash(lose_memory=fault.memory == "lost")
        for resident in self._residents.get(fault.node, ()):
            resident.crash(fault.memory == "lost")

    def _recover(self, node: NodeId) -> None:
        host = self._hosts.get(node)
        if not self._nodes[node].down:
            return
        residents = self._residents.get(node, ())
        for resident in residents:
            resident.restore()
        if host is None:
            self._nodes[node].recover()
        else:
            host.recover()
        for resident in residents:
            resident.resume()

    def _heal(self) -> None:
        weather, params = self._network.weather, self._network.params
        weather.heal()
        weather.slow([link for node in self._nodes for link in weather.links_of(node.id)], 0)
        weather.set(params.loss, params.duplicate, params.reorder, us_from_ms(params.reorder_ms))
        for node in self._nodes:
            node.slowness = 1.0
        self._network.release()

    def _behave(self, fault: BehaveFault) -> None:
        host = self._hosts[fault.node]
        if not fault.behaviour:
            host.disguise(None)
            return
        chosen = [self._known[name] for name in fault.behaviour]
        host.disguise(lambda core, n: Byzantine(core, n, chosen, self._seed))
