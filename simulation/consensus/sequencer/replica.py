"""A replica of the sequencer: replica 0 orders, the others decide what it says, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.clients import Batcher, ExactlyOnce
from simulation.consensus.protocol import (
    Batch,
    Broadcast,
    Decide,
    Effect,
    Executed,
    Input,
    Loaded,
    Propose,
    Receive,
    Request,
    Restarted,
    Send,
    SetTimer,
    TimerFired,
    is_request_well_formed,
)
from simulation.consensus.sequencer.messages import Order, RequestMessage, SequencerMessage
from simulation.consensus.sequencer.params import SequencerParams

ORDERER: ReplicaId = 0
BATCH_TIMER = ("batch",)


class SequencerReplica:
    """Pure: the same inputs give the same effects."""

    def __init__(self, replica: ReplicaId, params: SequencerParams) -> None:
        self.id = replica
        self.leader = ORDERER
        self._decided = 0
        self._done = ExactlyOnce()
        self._early: dict[int, Batch] = {}
        self._batcher = Batcher(
            params.batch_max_requests, params.batch_max_bytes, us_from_ms(params.batch_max_age_ms)
        )
        self._timer_runs = False
        self._out: list[Effect[SequencerMessage]] = []

    def step(
        self, event: Input[SequencerMessage], now_us: int
    ) -> Sequence[Effect[SequencerMessage]]:
        """Take one input; see `simulation.consensus.protocol.Replica`."""
        self._out = []
        match event:
            case Receive(sender, message):
                self._on_message(sender, message, now_us)
            case Propose(request):
                if self.id == ORDERER:
                    self._queue(request, now_us)
                else:
                    self._out.append(Send(ORDERER, RequestMessage(request)))
            case TimerFired():
                self._timer_runs = False
                self._order(now_us)
            case Executed() | Restarted() | Loaded():
                pass
            case _:
                assert_never(event)
        return self._out

    def receive(
        self, sender: NodeId, message: SequencerMessage, now_us: int
    ) -> Sequence[Effect[Any]]:
        """Take one message without an input object around it; see `FastReplica`."""
        self._out = []
        self._on_message(sender, message, now_us)
        return self._out

    def _on_message(self, sender: NodeId, message: SequencerMessage, now_us: int) -> None:
        match message:
            case RequestMessage(request):
                if self.id == ORDERER:
                    self._queue(request, now_us)
            case Order(seq, batch):
                if sender == ORDERER and message.sound and seq > self._decided:
                    self._early.setdefault(seq, batch)
                    self._decide_ready()
            case _:
                assert_never(message)

    def _queue(self, request: Request, now_us: int) -> None:
        key = request.key
        if is_request_well_formed(request) and key not in self._done:
            self._batcher.add(request, now_us)
            self._order(now_us)

    def _order(self, now_us: int) -> None:
        """Number and announce every batch that is due; wait for the next one."""
        while (due_us := self._batcher.due_in_us(now_us)) == 0:
            batch = self._batcher.take(now_us)
            self._out.append(Broadcast(Order(self._decided + 1, batch)))
            self._early[self._decided + 1] = batch
            self._decide_ready()
        if due_us is not None and not self._timer_runs:
            self._timer_runs = True
            self._out.append(SetTimer(BATCH_TIMER, due_us))

    def _decide_ready(self) -> None:
        while (batch := self._early.pop(self._decided + 1, None)) is not None:
            self._decided += 1
            fresh = self._done.execute(batch)
            self._out.append(Decide(self._decided, 0, fresh, ORDERER))


def build(replica: ReplicaId, n: int, params: SequencerParams) -> SequencerReplica:
    """A replica of an n-replica group.

    Raises:
        ValueError: when there is no replica at all.
    """
    if n < 1:
        raise ValueError(f"replicas: a sequencer needs at least 1 replica, got {n}")
    return SequencerReplica(replica, params)
