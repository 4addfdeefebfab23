"""A node: one attachment to the network and one processor, first in, first out.

Everything a node does is a job on its processor: checking a received message and handling it,
signing what it sends, executing a batch. A handler runs when the checks of its message are done;
what it sends leaves when the signature is made, and the next message waits until then. So a message
costs one event, however many stations it passes: the node takes the next one out of its inbox when
the processor is free, and its alarm rings when the checks of that one are done.

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
from simulation.network.inbox import NEVER_US, NS_PER_US, Inbox
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
        self._own: deque[Job] = deque()
        self._job: Job | Parcel | None = None
        """What the processor does: own work, or a message; None when idle."""
        self._serving = False
        """Whether the action of the current job is being called right now."""
        self._free_us = 0
        """When the current job is done, or the last one was."""
        # While the current job is a message that was not all in when it was taken up:
        self._at_us = NEVER_US
        """When it arrives: an earlier one goes first. Never if idle, else in the past."""
        self._ready_us = NEVER_US
        """When its last bit is in: until then, own work goes first. As above."""
        self._before: tuple[int, int, int] = (0, 0, 0)
        """How to take it back: its processor time; when processor and downlink were free."""
        self._alarm = Alarm(env, self._ring)
        self._inbox = network.connect(node_id, self._stir)
        self._stir(0)

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
            self.run(0, self._handlers.get(message.__class__, self._unexpected), parcel)
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
        if self._serving or self._ready_us <= now_us:
            self._own.append(job)
            return
        # The processor is idle or only waits for the last bit of a message: this job goes first.
        self._put_back()
        done_us = self._begin_own(job)
        again_us = done_us if done_us > now_us else self._ring()
        if again_us is not None:
            self._alarm.arm(again_us)

    def compute(self, duration_us: int) -> simpy.Event:
        """Queue work on the processor; the event fires when it is done."""
        event = self.env.event()
        self.run(duration_us, event.succeed)
        return event

    def crash(self) -> None:
        """Stop at once: nothing runs, arrives or leaves any more, and what waited is forgotten."""
        self.down = True
        if self._ready_us > self.env.now:
            self._put_back()
        self._idle()
        self._own.clear()
        self._inbox = Inbox()  # an empty one
        self.network.detach(self.id)

    def recover(self) -> None:
        """Run again, with an empty queue."""
        self.down = False
        self._free_us = self.env.now
        self._inbox = self.network.connect(self.id, self._stir)
        self._stir(0)

    # ---- the processor ------------------------------------------------------------------------

    def _stir(self, at_us: int) -> None:
        """A message arrives at ``at_us``, before all others that were sent lately."""
        if at_us < self._at_us and not self._serving:
            self._put_back()
            done_us = self._begin_message()
            if done_us is not None:
                self._alarm.arm(done_us)

    def _ring(self) -> int | None:
        """If the current job is done, call its action, then begin what waits.

        The waiting job that could start first is next; a message goes before own work of the same
        time.

        Returns:
            When the next job is done; None if nothing waits.
        """
        now_us = self.env.now
        if self._free_us != now_us or self._job is None:
            return None  # the alarm was for a job that another one has preceded
        while True:
            job = self._job
            self._serving = True
            if isinstance(job, Parcel):
                self._handlers.get(job.message.__class__, self._unexpected)(job)
            else:
                job[2](job[3])
            self._serving = False
            if self._own and self._own_is_next():
                done_us = self._begin_own(self._own.popleft())
            else:
                done_us = self._begin_message()
            if done_us is None or done_us > now_us:
                return done_us

    def _idle(self) -> None:
        self._job = self._inbox.current = None
        self._at_us = self._ready_us = NEVER_US

    def _own_is_next(self) -> bool:
        """Whether own work goes before the next message."""
        arrival = self._inbox.next()
        if arrival is None:
            return True
        return self._own[0][0] * NS_PER_US < self._inbox.ready_ns(arrival)

    def _begin_own(self, job: Job) -> int:
        """Make own work the current job; when it is done."""
        self._job = job
        self._inbox.current = None
        self._at_us = self._ready_us = -1
        self.busy_us += job[1]
        self._free_us = max(self._free_us, job[0]) + job[1]
        return self._free_us

    def _begin_message(self) -> int | None:
        """Make the next message the current job; when it is done. None when none is under way."""
        inbox = self._inbox
        queue = inbox.queue
        # The same as inbox.next() and ready_ns(), spelled out: every message passes here.
        if not queue or inbox.soonest_us <= queue[-1][0]:
            inbox.merge()
            if not queue:
                self._idle()
                return None
        arrival = queue.pop()
        at_us, _, parcel = arrival
        self._job = parcel
        check_us = parcel.check_us
        if check_us < 0:
            check_us = parcel.check_us = self.costs.receive_us(parcel.message)
        if self.slowness != 1.0:
            check_us = round(check_us * self.slowness)
        self.busy_us += check_us
        ready_us = at_us
        free_us, free_ns = self._free_us, inbox.free_ns
        wire_ns = parcel.wire_ns
        if wire_ns:
            at_ns = at_us * NS_PER_US
            last_ns = (free_ns if free_ns > at_ns else at_ns) + wire_ns  # noqa: FURB136
            inbox.free_ns = last_ns
            ready_us = -(-last_ns // NS_PER_US)
        if ready_us >= self.env.now:
            inbox.current = arrival
            self._at_us = at_us
            self._ready_us = ready_us
            self._before = (check_us, free_us, free_ns)
        elif inbox.current is not None or self._at_us >= 0:
            inbox.current = None
            self._at_us = self._ready_us = -1
        self._free_us = done_us = (ready_us if ready_us > free_us else free_us) + check_us  # noqa: FURB136
        return done_us

    def _put_back(self) -> None:
        """Take back the message of the current job, which has not begun; nothing when idle."""
        inbox = self._inbox
        if inbox.current is not None:
            inbox.queue.append(inbox.current)
            inbox.current = None
            took_us, self._free_us, inbox.free_ns = self._before
            self.busy_us -= took_us

    def _unexpected(self, parcel: Parcel) -> None:
        """The handler of a message that nobody on this node expects.

        Raises:
            LookupError: always.
        """
        raise LookupError(
            f"node {self.id} has no handler for {type(parcel.message).__name__} "
            f"from node {parcel.sender}; register one with on()"
        )

    def _transmit(self, outgoing: tuple[Sequence[NodeId], Message]) -> None:
        dsts, message = outgoing
        self.network.broadcast(self.id, dsts, message, self._free_us)
