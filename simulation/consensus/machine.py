"""What every replica here is built on: inputs come in, effects are collected, timers are known.

A protocol derives from `Machine`, answers messages in `receive` and the other inputs in ``on_...``,
and says what to do with ``send``, ``broadcast`` and the timers. Requests of the replica's own
client are kept and repeated here, because a client does the same whatever the protocol.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar, assert_never

from simulation.base.compiled import mypyc_attr
from simulation.base.digest import Digest
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.clients import Batcher, ExactlyOnce
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import (
    Batch,
    Broadcast,
    CancelTimer,
    Effect,
    Executed,
    Input,
    Loaded,
    M,
    Propose,
    Receive,
    Request,
    RequestKey,
    Restarted,
    Send,
    SetTimer,
    TimerFired,
    TimerKey,
    is_request_well_formed,
)

BATCH_TIMER: TimerKey = ("batch",)
CLIENT_TIMER: TimerKey = ("client",)

MAX_DOUBLINGS = 10
"""Timeouts double at most so often: a bound, so that no attack inflates them without end."""


class BatchParams(Protocol):
    """What the parameters of every protocol say."""

    @property
    def batch_max_requests(self) -> int:
        """A batch is closed when it holds so many requests."""
        ...

    @property
    def batch_max_bytes(self) -> int:
        """A batch is closed before it would exceed so many bytes."""
        ...

    @property
    def batch_max_age_ms(self) -> float:
        """A batch is closed when its first request has waited so long, in ms of virtual time."""
        ...


P = TypeVar("P", bound=BatchParams)


@mypyc_attr(allow_interpreted_subclasses=True)
class Machine(ABC, Generic[P, M]):
    """A replica of any protocol. Pure: the same inputs give the same effects.

    Args:
        replica: its number, 0 to n − 1.
        n: how many replicas there are.
        params: the protocol's parameters.
    """

    client_tries = 0
    """How often in a row the own client has repeated its requests."""

    def __init__(self, replica: ReplicaId, n: int, params: P) -> None:
        self.id = replica
        self.n = n
        self.params = params
        self.now_us = 0
        """The virtual time of the current input."""
        self.out: list[Effect[Any]] = []
        """The effects of the current input."""
        self.timers: set[TimerKey] = set()
        """The timers that run."""
        self.done = ExactlyOnce()
        self.own: dict[RequestKey, Request] = {}
        """Requests of this replica's own client that are not executed yet."""
        self.batcher = Batcher(
            params.batch_max_requests, params.batch_max_bytes, us_from_ms(params.batch_max_age_ms)
        )

    # ---- inputs ---------------------------------------------------------------------------------

    def step(self, event: Input[M], now_us: int) -> Sequence[Effect[M]]:
        """Take one input; see `simulation.consensus.protocol.Replica`."""
        if isinstance(event, Receive):
            return self.receive(event.sender, event.message, now_us)
        self.now_us = now_us
        self.out = []
        self.take(event)
        return self.out

    def take(self, event: Propose | TimerFired | Executed | Loaded | Restarted) -> None:
        """Dispatch an input that is no message. A timer that has been cancelled does nothing."""
        match event:
            case Propose(request):
                self.on_propose(request)
            case TimerFired(timer):
                if timer in self.timers:
                    self.timers.discard(timer)
                    self.on_timer(timer)
            case Executed(seq, state_digest):
                self.on_executed(seq, state_digest)
            case Loaded(first, batches, token):
                self.on_loaded(first, batches, token)
            case Restarted():
                self.on_restarted()
            case _:
                assert_never(event)

    @abstractmethod
    def receive(self, sender: NodeId, message: M, now_us: int) -> Sequence[Effect[Any]]:
        """Take one message without an input object around it; see `FastReplica`."""

    @abstractmethod
    def on_propose(self, request: Request) -> None:
        """The replica's own client wants a request ordered."""

    @abstractmethod
    def on_timer(self, timer: TimerKey) -> None:
        """A timer has run down."""

    @abstractmethod
    def on_restarted(self) -> None:
        """Back after a crash: no timer runs, and messages were missed."""

    def on_executed(self, seq: int, state: Digest) -> None:
        """The application has executed a decision."""

    def on_loaded(self, first: int, batches: tuple[Batch, ...], token: TimerKey) -> None:
        """The journal has answered a `Load`."""

    # ---- effects --------------------------------------------------------------------------------

    def send(self, to: ReplicaId, message: M) -> None:
        """Send to one other replica."""
        self.out.append(Send(to, message))

    def broadcast(self, message: M) -> None:
        """Send to all other replicas."""
        self.out.append(Broadcast(message))

    def set_timer(self, timer: TimerKey, delay_us: int) -> None:
        """Start or restart a timer."""
        self.timers.add(timer)
        self.out.append(SetTimer(timer, delay_us))

    def cancel_timer(self, timer: TimerKey) -> None:
        """Stop a timer if it runs."""
        if timer in self.timers:
            self.timers.discard(timer)
            self.out.append(CancelTimer(timer))

    # ---- requests -------------------------------------------------------------------------------

    def take_own(self, request: Request) -> bool:
        """Remember a request of the own client; False for one that is known, done or malformed."""
        key = request.key
        if not is_request_well_formed(request) or key in self.done or key in self.own:
            return False
        self.own[key] = request
        return True

    def await_result(self, patience_ms: float) -> None:
        """Start the own client's timer, unless it runs."""
        if CLIENT_TIMER not in self.timers:
            self.client_tries = 0
            self.set_timer(CLIENT_TIMER, us_from_ms(patience_ms))

    def ask_all(self, patience_ms: float) -> None:
        """No result in time: send the own requests to all replicas, and wait twice as long."""
        if not self.own:
            return
        for request in self.own.values():
            self.out.append(Broadcast(RequestMessage(request)))
        self.client_tries = min(self.client_tries + 1, MAX_DOUBLINGS)
        self.set_timer(CLIENT_TIMER, us_from_ms(patience_ms) << self.client_tries)

    def is_batch_due(self) -> bool:
        """Whether a batch must be closed now; if one will have to be later, wait for it."""
        due_us = self.batcher.due_in_us(self.now_us)
        if due_us and BATCH_TIMER not in self.timers:
            self.set_timer(BATCH_TIMER, due_us)
        return due_us == 0
