"""Client requests (§4.1): to the primary, into a batch, and the timer over them (§4.4)."""

from __future__ import annotations

from simulation.base.ids import NodeId
from simulation.base.units import us_from_ms
from simulation.consensus.pbft.core import Core
from simulation.consensus.pbft.messages import RequestMessage, pre_prepare
from simulation.consensus.protocol import (
    CancelTimer,
    Request,
    SetTimer,
    is_request_well_formed,
)

BATCH_TIMER = ("batch",)
REQUEST_TIMER = ("request",)


class Requests(Core):
    """Layer 1: what a replica does with requests before they have a sequence number."""

    _batch_timer = False
    _timed: tuple[NodeId, int] | None = None

    def on_propose(self, request: Request) -> None:
        """§4.1: the client (here the replica's own hospital) sends its request to the primary."""
        if self._accept_request(request) and self.leader != self.id:
            self.send(self.leader, RequestMessage(request))

    def on_request(self, sender: NodeId, message: RequestMessage) -> None:
        """§4.1: a request arrives; a backup relays it to the primary once."""
        del sender  # the request carries its client's own signature, whoever brings it
        if self._accept_request(message.request) and self.leader != self.id:
            self.send(self.leader, message)

    def _accept_request(self, request: Request) -> bool:
        """Remember a request until it is executed; False when it is known or done already."""
        if not is_request_well_formed(request):
            return False
        key = (request.client, request.timestamp)
        if key in self.done or key in self.waiting:
            return False
        self.waiting[key] = request
        self.watch()
        if self.leader == self.id and self.active and key not in self.assigned:
            self.batcher.add(request, self.now_us)
            self.propose_batches()
        return True

    # ---- the primary's batches (TOCS 2002, §5.1.2) ----------------------------------------------

    def propose_batches(self) -> None:
        """Close and propose every batch that is due while the pipeline has room."""
        while self.can_propose():
            due_us = self.batcher.due_in_us(self.now_us)
            if due_us is None:
                return
            if due_us > 0:
                if not self._batch_timer:
                    self._batch_timer = True
                    self.emit(SetTimer(BATCH_TIMER, due_us))
                return
            self._propose_one()

    def can_propose(self) -> bool:
        """Whether this replica is the primary and has a sequence number free."""
        return (
            self.leader == self.id
            and self.active
            and self.next_seq <= self.high
            and self.next_seq - self.executed <= self.params.pipeline
        )

    def on_batch_timer(self) -> None:
        """The oldest queued request has waited long enough."""
        self._batch_timer = False
        self.propose_batches()

    def _propose_one(self) -> None:
        batch = self.batcher.take(self.now_us)
        self.assigned.update((r.client, r.timestamp) for r in batch.requests)
        message = pre_prepare(self.signer, self.view, self.next_seq, batch)
        self.instance(self.next_seq).pre_prepare = message
        self.next_seq += 1
        self.report("pre-prepared", message.seq)
        self.broadcast(message)

    # ---- the timer over waiting requests (§4.4, §4.5.2) -----------------------------------------

    def watch(self) -> None:
        """Start the timer for the oldest waiting request, unless it runs for one already."""
        if self._timed is None and self.active and self.waiting:
            self._timed = next(iter(self.waiting))
            self.emit(SetTimer(REQUEST_TIMER, self.request_timeout_us()))

    def request_timeout_us(self) -> int:
        """T of §4.5.2 in this view."""
        return us_from_ms(self.params.request_timeout_ms)

    def settle(self, keys: set[tuple[NodeId, int]]) -> None:
        """Requests have been executed: stop waiting; restart the timer for the next one."""
        for key in keys:
            self.waiting.pop(key, None)
        self.assigned -= keys
        self.batcher.drop(keys)
        if self._timed in keys:
            self._timed = None
            if not self.waiting:
                self.emit(CancelTimer(REQUEST_TIMER))
            self.watch()
