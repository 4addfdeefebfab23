"""A node: one attachment to the network and one processor, first in, first out.

Everything a node does is a job on its processor: checking a received message and handling it,
signing what it sends, executing a batch. A handler runs when the checks of its message are done;
what it sends leaves when the signature is made, and the next message waits until then. So a message
costs one event here, however many stations it passes.

The processor is the part of the machine that speaks the protocol. Training runs on other cores and
is no job here: a hospital would otherwise miss every vote while it trains.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import simpy

from simulation.base.ids import NodeId
from simulation.consensus.protocol import Message
from simulation.network.clock import Alarm, Clock
from simulation.network.network import Network
from simulation.network.parcel import Parcel
from simulation.nodes.costs import CryptoCosts

M = TypeVar("M", bound=Message)

Job = tuple[int, int, Callable[[Any], object], Any]
"""When it may start (µs), how long it takes (µs), what to call when it is done, with what."""


class Node:
    """One machine of the federation, attached to the network under its number."""

    def __init__(self, env: Clock, node_id: NodeId, network: Network, costs: CryptoCosts) -> None:
        self.env = env
        self.id = node_id
        self.network = network
        self.costs = costs
        self.busy_us = 0
        """Processor time used so far, in µs."""
        self.down = False
        """Whether it has crashed and not come back."""
        self.slowness = 1.0
        """By what factor checking received messages takes longer than the costs say."""
        self._handlers: dict[type, Callable[[Parcel], object]] = {}
        self._arrived: deque[Job] = deque()
        self._own: deque[Job] = deque()
        self._current: Job | None = None
        self._serving = False
        """Whether the current job's action is being called right now."""
        self._free_us = 0
        self._free_before_us = 0
        self._alarm = Alarm(env, self._ring)
        network.connect(node_id, self._accept)

    # ---- for whoever lives on the node --------------------------------------------------------

    def on(self, message_type: type[M], handler: Callable[[NodeId, M], object]) -> None:
        """Call ``handler(sender, message)`` for every message of exactly this type."""

        def unpack(parcel: Parcel) -> None:
            handler(parcel.sender, cast(M, parcel.message))

        self._handlers[message_type] = unpack

    def on_parcel(self, message_type: type, handler: Callable[[Parcel], object]) -> None:
        """Like `on`, for a handler that wants the parcel that all receivers share."""
        self._handlers[message_type] = handler

    def send(self, dst: NodeId, message: Message) -> None:
        """Sign a message, then send it; to oneself, it is handled without either."""
        if dst == self.id:
            parcel = Parcel(self.id, message)
            self.run(0, self._handler(parcel), parcel)
            return
        self.broadcast((dst,), message)

    def broadcast(self, dsts: Sequence[NodeId], message: Message) -> None:
        """Sign a message once, then send a copy to each of ``dsts`` in that order."""
        sign_us = self.costs.send_us(message)
        if self._serving:
            self.charge(sign_us)
            self.network.broadcast(self.id, dsts, message, self._free_us)
        else:
            self.run(sign_us, self._transmit, (dsts, message))

    def charge(self, duration_us: int) -> None:
        """Lengthen the job that is running now; what is sent afterwards leaves later.

        Raises:
            RuntimeError: outside of a job; use `run` or `compute` there.
        """
        if not self._serving:
            raise RuntimeError("charge() needs a running job; use run() or compute() instead")
        self._free_us += duration_us
        self.busy_us += duration_us

    def run(
        self, duration_us: int, action: Callable[[Any], object], argument: object = None
    ) -> None:
        """Queue a job: ``action(argument)`` is called when its processor time has passed.

        A node that is down forgets it.
        """
        if self.down:
            return
        now_us = self.env.now
        job: Job = (now_us, duration_us, action, argument)
        current = self._current
        if current is None:
            self._start(job)
        elif current[0] > now_us and not self._serving:
            # The processor only waits for the last bit of a message: this job goes first.
            self._abandon(current)
            self._arrived.appendleft(current)
            self._start(job)
        else:
            self._own.append(job)

    def compute(self, duration_us: int) -> simpy.Event:
        """Queue work on the processor; the event fires when it is done."""
        event = self.env.event()
        self.run(duration_us, event.succeed)
        return event

    def crash(self) -> None:
        """Stop at once: nothing runs, arrives or leaves any more, and what waited is forgotten."""
        self.down = True
        self.network.detach(self.id)
        self._arrived.clear()
        self._own.clear()
        self._current = None
        self._alarm.disarm()

    def recover(self) -> None:
        """Run again, with an empty queue."""
        self.down = False
        self._alarm = Alarm(self.env, self._ring)
        self._free_us = self.env.now
        self.network.connect(self.id, self._accept)

    # ---- the processor ------------------------------------------------------------------------

    def _accept(self, ready_us: int, parcel: Parcel) -> None:
        check_us = parcel.check_us
        if check_us < 0:
            check_us = parcel.check_us = self.costs.receive_us(parcel.message)
        if self.slowness != 1.0:
            check_us = round(check_us * self.slowness)
        handler = self._handlers.get(parcel.message.__class__)
        if handler is None:
            handler = self._handler(parcel)
        job = (ready_us, check_us, handler, parcel)
        if self._current is not None:
            self._arrived.append(job)
        elif not self._begin(job):
            self._ring()

    def _handler(self, parcel: Parcel) -> Callable[[Parcel], object]:
        """The handler of a parcel's message.

        Raises:
            LookupError: when nobody on this node expects such a message.
        """
        handler = self._handlers.get(parcel.message.__class__)
        if handler is None:
            raise LookupError(
                f"node {self.id} has no handler for {type(parcel.message).__name__} "
                f"from node {parcel.sender}; register one with on()"
            )
        return handler

    def _start(self, job: Job) -> None:
        """Begin a job on an idle processor; one that takes no time is over at once."""
        if not self._begin(job):
            self._ring()

    def _begin(self, job: Job) -> bool:
        """Make a job the current one; whether it takes any time from now on."""
        self._current = job
        free_us = self._free_before_us = self._free_us
        ready_us, duration_us, _, _ = job
        done_us = (ready_us if ready_us > free_us else free_us) + duration_us  # noqa: FURB136
        self._free_us = done_us
        self.busy_us += duration_us
        if done_us > self.env.now:
            self._alarm.arm(done_us)
            return True
        return False

    def _ring(self) -> None:
        """The current job's time has passed: call its action, then begin what waits.

        The waiting job that could start first is next; a message goes before own work of the same
        time.
        """
        arrived, own = self._arrived, self._own
        job = self._current
        assert job is not None
        now_us = self.env.now
        while True:
            self._serving = True
            job[2](job[3])
            self._serving = False
            if own and not (arrived and arrived[0][0] <= own[0][0]):
                job = own.popleft()
            elif arrived:
                job = arrived.popleft()
            else:
                self._current = None
                return
            # The same as _begin, spelled out: this is where every queued message passes.
            self._current = job
            free_us = self._free_before_us = self._free_us
            ready_us = job[0]
            self.busy_us += job[1]
            done_us = (ready_us if ready_us > free_us else free_us) + job[1]  # noqa: FURB136
            self._free_us = done_us
            if done_us > now_us:
                self._alarm.arm(done_us)
                return

    def _abandon(self, job: Job) -> None:
        """Take back the current job, which has not begun."""
        self._alarm.disarm()
        self._alarm = Alarm(self.env, self._ring)
        self.busy_us -= job[1]
        self._free_us = self._free_before_us

    def _transmit(self, outgoing: tuple[Sequence[NodeId], Message]) -> None:
        dsts, message = outgoing
        self.network.broadcast(self.id, dsts, message, self._free_us)
