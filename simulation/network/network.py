"""The cables between all nodes: an uplink queue, a delay, a downlink queue.

A copy of a message passes three stations:

    sender's uplink (a queue) → delay (drawn) → receiver's downlink (a queue)

Both queues are first in, first out. So a broadcast of n − 1 copies serialises on the sender's
uplink: its k-th copy leaves when the bytes of k copies have been put on the wire. That queue bounds
the throughput of every protocol in which one replica sends everything to all others.

The arrival times of a broadcast are worked out when it is sent, and each copy goes straight into
its receiver's inbox (`simulation.network.inbox`); only the receivers put events in the heap. Queues
count nanoseconds, so that a message of a kilobyte on a 10 Gbit/s link is not rounded to a whole
microsecond; events happen in whole microseconds, rounded up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from simulation.base.ids import NodeId
from simulation.base.rng import Streams
from simulation.base.units import BITS_PER_BYTE
from simulation.consensus.protocol import Message
from simulation.network.clock import Clock
from simulation.network.delays import latency_model
from simulation.network.inbox import NS_PER_US, Inbox, Reader, idle
from simulation.network.params import NetworkParams
from simulation.network.parcel import Count, Parcel
from simulation.network.weather import weather_of

NS_PER_S = 1_000_000_000


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
        self._latency = latency_model(params.delays, nodes, streams)
        self.lookahead_us = self._latency.least_us
        """For so long from now on, no message arrives that is not under way already."""
        self._uplink_bps = params.uplink_bps
        self._downlink_bps = params.downlink_bps
        self._uplink_free_ns = [0] * nodes
        self._sendings = 0
        self._inboxes = [Inbox() for _ in range(nodes)]
        self._last: list[tuple[Sequence[NodeId], list[Inbox]]] = [((), [])] * nodes
        """Per source: the others that it sent to last, and their inboxes. A replica names the same
        tuple for every broadcast."""
        for node in range(nodes):
            self.detach(node)

    # ---- attaching ----------------------------------------------------------------------------

    def attach(self, node: NodeId, receive: Callable[[NodeId, Message], None]) -> None:
        """Call ``receive(sender, message)`` whenever the last bit of a message is in."""
        inbox = self._inboxes[node]
        Reader(self.env, inbox, lambda parcel: receive(parcel.sender, parcel.message))

    def connect(
        self, node: NodeId, stir: Callable[[int], None], rewind: Callable[[], None] = idle
    ) -> Inbox:
        """Attach a node that reads its inbox for itself; ``stir`` and ``rewind`` as in `Inbox`.

        The node looks into the inbox at once: messages may be under way already.
        """
        inbox = self._inboxes[node]
        inbox.stir = stir
        inbox.rewind = rewind
        return inbox

    def detach(self, node: NodeId) -> None:
        """Forget what has arrived at ``node``, and drop from now on what arrives there."""
        inbox = self._inboxes[node]
        inbox.rewind = idle
        inbox.pass_by(self.env.now)
        Reader(self.env, inbox, self._refuse, downlink=False)

    def _refuse(self, parcel: Parcel) -> None:
        if parcel.counted:
            _count(self.dropped, parcel, 1)

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
        last, inboxes = self._last[src]
        if last is not dsts:
            if src in dsts:
                own = Parcel(src, message)
                own.check_us = 0
                own.counted = False
                self._put(own, src, start_us)
                dsts = [dst for dst in dsts if dst != src]
            if not dsts:
                return
            inboxes = [self._inboxes[dst] for dst in dsts]
            if isinstance(dsts, tuple):
                self._last[src] = (dsts, inboxes)
        parcel = Parcel(src, message)
        size_bytes, copies = parcel.size_bytes, len(dsts)
        parcel.wire_ns = _wire_ns(size_bytes, self._downlink_bps)
        _count(self.sent, parcel, copies)
        delays_us = self._latency.draw_block(src, dsts)
        wire_ns = _wire_ns(size_bytes, self._uplink_bps)
        left_ns = start_us * NS_PER_US
        if wire_ns:
            left_ns = max(left_ns, self._uplink_free_ns[src])
            self._uplink_free_ns[src] = left_ns + wire_ns * copies
        left_ns += NS_PER_US - 1  # so that the divisions below round up
        if not self.weather.fair:
            self._put_through_weather(
                parcel,
                dsts,
                [(left_ns := left_ns + wire_ns) // NS_PER_US + delay_us for delay_us in delays_us],
            )
            return
        self._sendings = number = self._sendings + 1
        for inbox, delay_us in zip(inboxes, delays_us):  # noqa: B905 (strict costs a tenth)
            left_ns += wire_ns
            arrival_us = left_ns // NS_PER_US + delay_us
            inbox.coming.append((arrival_us, number, parcel))
            if arrival_us < inbox.soonest_us:
                inbox.soonest_us = arrival_us
                inbox.stir(arrival_us)

    def release(self) -> None:
        """Let go what is held on any link: it travels on from now."""
        self.weather.release()
        held, self._held = self._held, []
        for parcel, dst, travel_us in held:
            self._put(parcel, dst, self.env.now + travel_us)

    def _put(self, parcel: Parcel, dst: NodeId, at_us: int) -> None:
        """Have one copy arrive."""
        self._sendings += 1
        self._inboxes[dst].put((at_us, self._sendings, parcel))

    def _put_through_weather(
        self, parcel: Parcel, dsts: Sequence[NodeId], arrivals_us: list[int]
    ) -> None:
        """Have those copies arrive that the weather leaves, when it lets them.

        It is asked in order of arrival, and of two that arrive together for the one named first.
        """
        src, weather = parcel.sender, self.weather
        for position in sorted(range(len(dsts)), key=arrivals_us.__getitem__):
            dst, at_us = dsts[position], arrivals_us[position]
            if weather.holds(src, dst):
                self._held.append((parcel, dst, at_us - self.env.now))
                continue
            arrivals = weather.arrivals(src, dst, at_us)
            if not arrivals:
                _count(self.dropped, parcel, 1)
            elif len(arrivals) > 1:
                _count(self.duplicated, parcel, len(arrivals) - 1)
            for later_us in arrivals:
                self._put(parcel, dst, later_us)

    # ---- counting -----------------------------------------------------------------------------

    @property
    def delivered(self) -> dict[str, Count]:
        """Copies that have reached a receiver, by kind."""
        counts: dict[str, Count] = {}
        for sign, parts in (
            (1, (self.sent, self.duplicated)),
            (-1, (self.dropped, self.in_flight)),
        ):
            for part in parts:
                for kind, count in part.items():
                    total = counts.setdefault(kind, Count())
                    total.messages += sign * count.messages
                    total.bytes += sign * count.bytes
        return {kind: count for kind, count in counts.items() if count.messages}

    @property
    def in_flight(self) -> dict[str, Count]:
        """Copies that are on the uplink, under way or held, by kind."""
        counts: dict[str, Count] = {}
        for inbox in self._inboxes:
            inbox.rewind()
            for parcel in inbox.under_way(self.env.now):
                if parcel.counted:
                    _count(counts, parcel, 1)
        for parcel, _, _ in self._held:
            _count(counts, parcel, 1)
        return counts


@lru_cache(maxsize=4096)
def _wire_ns(size_bytes: int, rate_bps: int) -> int:
    """Nanoseconds that a message occupies a link, rounded up; 0 on an unlimited one, of rate 0."""
    return -(-size_bytes * BITS_PER_BYTE * NS_PER_S // rate_bps) if rate_bps else 0


def _count(counts: dict[str, Count], parcel: Parcel, copies: int) -> None:
    kind = parcel.message.kind
    count = counts.get(kind)
    if count is None:
        count = counts[kind] = Count()
    count.add(copies, parcel.size_bytes)
