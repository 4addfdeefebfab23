"""A PBFT replica behind the contract: every input is dispatched here, in two matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.pbft.checkpoint import Checkpoints
from simulation.consensus.pbft.messages import (
    Checkpoint,
    Commit,
    PbftMessage,
    Prepare,
    PrePrepare,
    RequestMessage,
)
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.pbft.requests import BATCH_TIMER, REQUEST_TIMER
from simulation.consensus.protocol import (
    Effect,
    Executed,
    Input,
    Propose,
    Receive,
    TimerFired,
    TimerKey,
)

EARLY_PER_SENDER = 4
"""Early messages kept per sender, in multiples of the window: three phases and a checkpoint."""


class PbftReplica(Checkpoints):
    """The whole protocol. Pure: the same inputs give the same effects."""

    def __init__(self, replica: ReplicaId, n: int, params: PbftParams) -> None:
        super().__init__(replica, n, params)
        self._early: dict[ReplicaId, list[PrePrepare | Prepare | Commit]] = {}
        self._early_limit = EARLY_PER_SENDER * params.window

    def step(self, event: Input[PbftMessage], now_us: int) -> Sequence[Effect[PbftMessage]]:
        """Take one input; see `simulation.consensus.protocol.Replica`."""
        if isinstance(event, Receive):
            return self.receive(event.sender, event.message, now_us)
        self.now_us = now_us
        self.out = []
        match event:
            case Propose(request):
                self.on_propose(request)
            case TimerFired(timer):
                self._on_timer(timer)
            case Executed(seq, state_digest):
                low = self.low
                self.on_executed(seq, state_digest)
                if self.low != low:
                    self._replay_early()
            case _:
                assert_never(event)
        return self.out

    def receive(self, sender: NodeId, message: PbftMessage, now_us: int) -> Sequence[Effect[Any]]:
        """Take one message without an input object around it; see `FastReplica`."""
        self.now_us = now_us
        self.out = []
        low = self.low
        self._dispatch(sender, message)
        if self.low != low:
            self._replay_early()
        return self.out

    def _dispatch(self, sender: NodeId, message: PbftMessage) -> None:
        if not 0 <= sender < self.n:
            if isinstance(message, RequestMessage):
                self.on_request(sender, message)
            return
        match message:
            case Commit():
                if self._in_order(sender, message):
                    self.on_commit(sender, message)
            case Prepare():
                if self._in_order(sender, message):
                    self.on_prepare(sender, message)
            case PrePrepare():
                if self._in_order(sender, message):
                    self.on_pre_prepare(sender, message)
            case RequestMessage():
                self.on_request(sender, message)
            case Checkpoint():
                self.on_checkpoint(sender, message)
            case _:
                assert_never(message)

    def _in_order(self, sender: NodeId, message: PrePrepare | Prepare | Commit) -> bool:
        """§4.2: right view, and h < n ≤ H. Early messages are set aside, late ones ignored."""
        if message.view == self.view and self.active and self.low < message.seq <= self.high:
            return True
        if message.view >= self.view and self.low < message.seq <= self.high + self.params.window:
            early = self._early.setdefault(sender, [])
            if len(early) < self._early_limit:
                early.append(message)
        return False

    def _replay_early(self) -> None:
        early, self._early = self._early, {}
        for sender in sorted(early):
            for message in early[sender]:
                self._dispatch(sender, message)

    def _on_timer(self, timer: TimerKey) -> None:
        if timer == BATCH_TIMER:
            self.on_batch_timer()
        elif timer == REQUEST_TIMER:
            self.on_request_timer()

    def on_request_timer(self) -> None:
        """§4.4: the primary has not ordered a request in time."""
        self._timed = None
        self.report("request-timeout", self.executed + 1)
        self.watch()


def build(replica: ReplicaId, n: int, params: PbftParams) -> PbftReplica:
    """A replica of an n-replica group.

    Raises:
        ValueError: when n < 4.
    """
    return PbftReplica(replica, n, params)
