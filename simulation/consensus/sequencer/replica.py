"""A replica of the sequencer: replica 0 orders, the others decide what it says, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.machine import Machine
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import (
    Batch,
    Decide,
    Effect,
    Request,
    TimerKey,
    is_request_well_formed,
)
from simulation.consensus.sequencer.messages import Order, SequencerMessage
from simulation.consensus.sequencer.params import SequencerParams

ORDERER: ReplicaId = 0


class SequencerReplica(Machine[SequencerParams, SequencerMessage]):
    """The whole protocol. Pure: the same inputs give the same effects."""

    leader = ORDERER

    def __init__(self, replica: ReplicaId, n: int, params: SequencerParams) -> None:
        super().__init__(replica, n, params)
        self.decided = 0
        """The last sequence number decided."""
        self.early: dict[int, Batch] = {}
        """By number: orders whose predecessors have not come."""

    def receive(
        self, sender: NodeId, message: SequencerMessage, now_us: int
    ) -> Sequence[Effect[Any]]:
        """Take one message without an input object around it; see `FastReplica`."""
        self.now_us = now_us
        self.out = []
        match message:
            case RequestMessage(request):
                self._queue(request)
            case Order(seq, batch):
                if sender == ORDERER and message.sound and seq > self.decided:
                    self.early.setdefault(seq, batch)
                    self._decide_ready()
            case _:
                assert_never(message)
        return self.out

    def on_propose(self, request: Request) -> None:
        """The replica's own client wants a request ordered."""
        if self.id == ORDERER:
            self._queue(request)
        else:
            self.send(ORDERER, RequestMessage(request))

    def on_timer(self, timer: TimerKey) -> None:
        """A batch is as old as it may get."""
        del timer
        self._order()

    def on_restarted(self) -> None:
        """Back after a crash: whatever was lost meanwhile is lost."""
        self.timers.clear()
        self._order()

    def _queue(self, request: Request) -> None:
        if self.id == ORDERER and is_request_well_formed(request) and request.key not in self.done:
            self.batcher.add(request, self.now_us)
            self._order()

    def _order(self) -> None:
        """Number and announce every batch that is due; wait for the next one."""
        while self.is_batch_due():
            batch = self.batcher.take(self.now_us)
            self.broadcast(Order(self.decided + 1, batch))
            self.early[self.decided + 1] = batch
            self._decide_ready()

    def _decide_ready(self) -> None:
        while (batch := self.early.pop(self.decided + 1, None)) is not None:
            self.decided += 1
            fresh = self.done.execute(batch)
            self.out.append(Decide(self.decided, 0, fresh, ORDERER))


def build(replica: ReplicaId, n: int, params: SequencerParams) -> SequencerReplica:
    """A replica of an n-replica group.

    Raises:
        ValueError: when there is no replica at all.
    """
    if n < 1:
        raise ValueError(f"replicas: a sequencer needs at least 1 replica, got {n}")
    return SequencerReplica(replica, n, params)
