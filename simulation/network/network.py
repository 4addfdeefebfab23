"""The cables between all nodes: an uplink queue, a delay, a downlink queue.

A copy of a message passes three stations:

    sender's uplink (a queue) → delay (drawn) → receiver's downlink (a queue)

Both queues are first in, first out. So a broadcast of n − 1 copies serialises on the sender's
uplink: its k-th copy leaves when the bytes of k copies have been put on the wire. That queue bounds
the throughput of every protocol in which one replica sends everything to all others.

A whole broadcast is one event in the heap, armed again for the next receiver in order of arrival;
the arrival times are worked out when it is sent. Queues count nanoseconds, so that a message of a
kilobyte on a 10 Gbit/s link is not rounded to a whole microsecond; events happen in whole
microseconds, rounded up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from simulation.base.ids import NodeId
from simulation.base.rng import Streams
from simulation.base.units import BITS_PER_BYTE
from simulation.consensus.protocol import Message
from simulation.network.clock import Alarm, Clock
from simulation.network.delays import latency_model
from simulation.network.params import NetworkParams
from simulation.network.parcel import Count, Parcel
from simulation.network.weather import weather_of

NS_PER_US = 1_000
NS_PER_S = 1_000_000_000

Accept = Callable[[int, Parcel], None]
"""Called when a parcel reaches a node's downlink, with the time at which its last bit is in."""

_POSITION_BITS = 20
_POSITION_MASK = (1 << _POSITION_BITS) - 1


class Network:
    """Everything between the nodes 0 .. ``nodes`` − 1.

    All counts are by the message's kind, and at every instant ``sent + duplicated`` is
    ``delivered + dropped + in_flight``. A copy counts as delivered when it reaches its receiver's
    downlink, as dropped when the weather takes it or nobody is attached there.
    """

    def __init__(self, env: Clock, nodes: int, params: NetworkParams, streams: Streams) -> None:
        self.env = env
        self.nodes = nodes
        self.params = params
        self.sent: dict[str, Count] = {}
        self.dropped: dict[str, Count] = {}
        self.duplicated: dict[str, Count] = {}
        self.weather = weather_of(params, nodes, streams)
        self._held: list[tuple[Parcel, NodeId, int]] = []
        self._arrived: dict[str, Count] = {}
        self.flights: dict[Flight, None] = {}
        self._latency = latency_model(params.delays, nodes, streams)
        self._uplink_bps = params.uplink_bps
        self._downlink_bps = params.downlink_bps
        self._uplink_free_ns = [0] * nodes
        self.downlink_free_ns = [0] * nodes
        self.ports: list[Accept | None] = [None] * nodes

    # ---- attaching ----------------------------------------------------------------------------

    def attach(self, node: NodeId, receive: Callable[[NodeId, Message], None]) -> None:
        """Call ``receive(sender, message)`` whenever the last bit of a message is in."""
        self.connect(node, _Mailbox(self.env, receive).accept)

    def connect(self, node: NodeId, accept: Accept) -> None:
        """Attach a node that queues for itself: told at arrival when the last bit will be in."""
        self.ports[node] = accept

    def detach(self, node: NodeId) -> None:
        """Drop from now on what arrives at ``node``."""
        self.ports[node] = None

    # ---- sending ------------------------------------------------------------------------------

    def send(self, src: NodeId, dst: NodeId, message: Message, at_us: int | None = None) -> None:
        """Send one message; to oneself, it arrives at once and touches no cable.

        It is handed to the uplink at ``at_us``, which is never in the past; now when left out.
        """
        self.broadcast(src, (dst,), message, at_us)

    def broadcast(
        self,
        src: NodeId,
        dsts: Sequence[NodeId],
        message: Message,
        at_us: int | None = None,
    ) -> None:
        """Send one message to each of ``dsts``, whose copies leave in that order."""
        start_us = self.env.now if at_us is None else at_us
        if src in dsts:
            own = Parcel(src, message)
            own.check_us = 0
            own.counted = False
            Flight(self, own, (src,), [start_us << _POSITION_BITS])
            dsts = [dst for dst in dsts if dst != src]
        if not dsts:
            return
        parcel = Parcel(src, message)
        if self._downlink_bps:
            parcel.wire_ns = _wire_ns(parcel.size_bytes, self._downlink_bps)
        _count(self.sent, parcel, len(dsts))
        keys = self._arrivals(src, dsts, parcel, start_us)
        if not self.weather.fair:
            keys = self._weathered(parcel, dsts, keys)
        if keys:
            self.flights[Flight(self, parcel, dsts, keys)] = None

    def release(self) -> None:
        """Let go what is held on any link: it travels on from now."""
        self.weather.release()
        held, self._held = self._held, []
        for parcel, dst, travel_us in held:
            keys = [self.env.now + travel_us << _POSITION_BITS]
            self.flights[Flight(self, parcel, (dst,), keys)] = None

    def _arrivals(
        self, src: NodeId, dsts: Sequence[NodeId], parcel: Parcel, start_us: int
    ) -> list[int]:
        """Arrival time and position of each copy, packed in one integer, the last to arrive first.

        The next copy is popped from the end; of two that arrive together, the one named first
        comes first.
        """
        delays = self._latency.draw_block(src, dsts)
        if not self._uplink_bps:
            keys = [
                (start_us + delay_us << _POSITION_BITS) + position
                for position, delay_us in enumerate(delays)
            ]
        else:
            wire_ns = _wire_ns(parcel.size_bytes, self._uplink_bps)
            left_ns = max(self._uplink_free_ns[src], start_us * NS_PER_US)
            self._uplink_free_ns[src] = left_ns + wire_ns * len(dsts)
            left_ns += NS_PER_US - 1  # so that the division below rounds up
            keys = [
                (((left_ns := left_ns + wire_ns) // NS_PER_US + delay_us) << _POSITION_BITS)
                + position
                for position, delay_us in enumerate(delays)
            ]
        keys.sort(reverse=True)
        return keys

    def _weathered(self, parcel: Parcel, dsts: Sequence[NodeId], keys: list[int]) -> list[int]:
        """The arrivals that the weather leaves of ``keys``, in the same order and packing."""
        out: list[int] = []
        src, weather = parcel.sender, self.weather
        for key in reversed(keys):
            position = key & _POSITION_MASK
            dst, at_us = dsts[position], key >> _POSITION_BITS
            if weather.holds(src, dst):
                self._held.append((parcel, dst, at_us - self.env.now))
                continue
            arrivals = weather.arrivals(src, dst, at_us)
            if not arrivals:
                _count(self.dropped, parcel, 1)
            elif len(arrivals) > 1:
                _count(self.duplicated, parcel, len(arrivals) - 1)
            out.extend(later_us << _POSITION_BITS | position for later_us in arrivals)
        out.sort(reverse=True)
        return out

    # ---- arriving -----------------------------------------------------------------------------

    def arrived(self, flight: Flight) -> None:
        """Every copy of a broadcast has arrived."""
        del self.flights[flight]
        _count(self._arrived, flight.parcel, flight.copies)

    def refuse(self, parcel: Parcel) -> None:
        """A copy has arrived where nobody is attached."""
        _count(self.dropped, parcel, 1)
        _count(self._arrived, parcel, -1)

    # ---- counting -----------------------------------------------------------------------------

    @property
    def delivered(self) -> dict[str, Count]:
        """Copies that have reached a receiver, by kind."""
        counts = {kind: Count(c.messages, c.bytes) for kind, c in self._arrived.items()}
        for flight in self.flights:
            _count(counts, flight.parcel, flight.copies - len(flight.keys))
        return {kind: count for kind, count in counts.items() if count.messages}

    @property
    def in_flight(self) -> dict[str, Count]:
        """Copies that are on the uplink, under way or held, by kind."""
        counts: dict[str, Count] = {}
        for flight in self.flights:
            _count(counts, flight.parcel, len(flight.keys))
        for parcel, _, _ in self._held:
            _count(counts, parcel, 1)
        return counts


class Flight(Alarm):
    """All copies of one broadcast: one alarm, armed for one receiver after the other."""

    def __init__(
        self, network: Network, parcel: Parcel, dsts: Sequence[NodeId], keys: list[int]
    ) -> None:
        super().__init__(network.env, self._arrive)
        self.network = network
        self.clock = network.env
        self.ports = network.ports
        self.downlinks = network.downlink_free_ns
        self.parcel = parcel
        self.dsts = dsts
        self.keys = keys
        self.copies = len(keys)
        self.arm(keys[-1] >> _POSITION_BITS)

    def _arrive(self) -> None:
        keys, parcel = self.keys, self.parcel
        wire_ns = parcel.wire_ns
        now_us = self.clock.now
        # Copies that arrive together are handed over together: no event between two of them.
        while True:
            dst = self.dsts[keys.pop() & _POSITION_MASK]
            accept = self.ports[dst]
            if accept is None:
                self.network.refuse(parcel)
            elif wire_ns:
                downlinks = self.downlinks
                free_ns, now_ns = downlinks[dst], now_us * NS_PER_US
                free_ns = (free_ns if free_ns > now_ns else now_ns) + wire_ns  # noqa: FURB136
                downlinks[dst] = free_ns
                accept(-(-free_ns // NS_PER_US), parcel)
            else:
                accept(now_us, parcel)
            if not keys:
                break
            at_us = keys[-1] >> _POSITION_BITS
            if at_us > now_us:
                self.arm(at_us)
                return
        if parcel.counted:
            self.network.arrived(self)
        self.disarm()  # also unties the knot of this object and its own method


class _Mailbox:
    """Hands messages over one by one, each when its last bit is in."""

    def __init__(self, env: Clock, receive: Callable[[NodeId, Message], None]) -> None:
        self._env = env
        self._receive = receive
        self._waiting: deque[tuple[int, Parcel]] = deque()
        self._alarm = Alarm(env, self._ring)

    def accept(self, ready_us: int, parcel: Parcel) -> None:
        """Take a parcel whose last bit is in at ``ready_us``."""
        if ready_us == self._env.now and not self._waiting:
            self._receive(parcel.sender, parcel.message)
            return
        self._waiting.append((ready_us, parcel))
        if len(self._waiting) == 1:
            self._alarm.arm(ready_us)

    def _ring(self) -> None:
        parcel = self._waiting.popleft()[1]
        self._receive(parcel.sender, parcel.message)
        if self._waiting:
            self._alarm.arm(self._waiting[0][0])


def _wire_ns(size_bytes: int, rate_bps: int) -> int:
    """Nanoseconds that a message occupies a link, rounded up."""
    return -(-size_bytes * BITS_PER_BYTE * NS_PER_S // rate_bps)


def _count(counts: dict[str, Count], parcel: Parcel, copies: int) -> None:
    kind = parcel.message.kind
    count = counts.get(kind)
    if count is None:
        count = counts[kind] = Count()
    count.add(copies, parcel.size_bytes)
