"""Client requests (§4.1): to the primary, into a batch, and the timer over them (§4.4)."""

from __future__ import annotations

from simulation.base.compiled import mypyc_attr
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.machine import CLIENT_TIMER, MAX_DOUBLINGS
from simulation.consensus.messages import RequestMessage
from simulation.consensus.pbft.core import Core
from simulation.consensus.pbft.messages import pre_prepare
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.protocol import Request, RequestKey, is_request_well_formed

REQUEST_TIMER = ("request",)
RETRY_TIMER = ("retry",)


@mypyc_attr(allow_interpreted_subclasses=True)
class Requests(Core):
    """Layer 1: what a replica does with requests before they have a sequence number."""

    _timed: RequestKey | None = None
    """The request that the timer of §4.4 runs for."""

    def __init__(self, replica: ReplicaId, n: int, params: PbftParams) -> None:
        super().__init__(replica, n, params)
        self._timeout_us = us_from_ms(params.request_timeout_ms)
        self._retransmit_us = us_from_ms(params.retransmit_ms)

    def on_propose(self, request: Request) -> None:
        """§4.1: the client (here the replica's own hospital) sends its request to the primary."""
        if not self.take_own(request):
            return
        self.await_result(self.params.client_retry_ms)
        self._accept_request(request)
        if self.leader != self.id:
            self.send(self.leader, RequestMessage(request))

    def on_request(self, sender: NodeId, message: RequestMessage) -> None:
        """§4.1: a request arrives; a backup relays it to the primary, the first time it sees it."""
        if self._accept_request(message.request) and self.leader not in (self.id, sender):
            self.send(self.leader, message)

    def on_client_timer(self) -> None:
        """§4.1: no result in time: the client sends its requests to all replicas."""
        self.ask_all(self.params.client_retry_ms)

    def resend_own(self) -> None:
        """Send the own client's requests to the primary of the new view."""
        for request in self.own.values():
            self.send(self.leader, RequestMessage(request))

    def _accept_request(self, request: Request) -> bool:
        """Remember a request until it is executed; False when it is known or done already."""
        if not is_request_well_formed(request):
            return False
        key = request.key
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
        while self.can_propose() and self.is_batch_due():
            self._propose_one()

    def can_propose(self) -> bool:
        """Whether this replica is the primary and has a sequence number free."""
        return (
            self.leader == self.id
            and self.active
            and self.next_seq <= self.high
            and self.next_seq - self.executed <= self.params.pipeline
        )

    def _propose_one(self) -> None:
        seq = self.next_seq
        batch = self.batcher.take(self.now_us, self.view, self.id)
        self.assigned |= batch.keys
        message = pre_prepare(self.signer, self.view, seq, batch)
        self.instance(seq).pre_prepare = message
        self.keep_body(seq, batch)
        self.next_seq = seq + 1
        self.report("pre-prepared", seq)
        self.broadcast(message)
        self.arm_retry()

    # ---- the timer over waiting requests (§4.4, §4.5.2) -----------------------------------------

    def watch(self) -> None:
        """Start the timer for the oldest waiting request, unless it runs for one already."""
        if self._timed is None and self.active and self.waiting:
            self._timed = next(iter(self.waiting))
            self.set_timer(REQUEST_TIMER, self.timeout_us())
            self.arm_retry()

    def unwatch(self) -> None:
        """Stop the timer."""
        self._timed = None
        self.cancel_timer(REQUEST_TIMER)

    def timeout_us(self) -> int:
        """T of §4.5.2: doubled for every view since the last one that executed something."""
        doublings = min(max(0, self.view - self.settled_view), MAX_DOUBLINGS)
        return self._timeout_us << doublings

    def arm_retry(self) -> None:
        """Make sure that unfinished work is looked after if messages were lost."""
        if RETRY_TIMER not in self.timers:
            self.set_timer(RETRY_TIMER, self._retransmit_us)

    def settle(self, keys: frozenset[RequestKey]) -> None:
        """Requests have been executed: stop waiting; restart the timer for the next one."""
        for key in keys:
            self.waiting.pop(key, None)
            self.own.pop(key, None)
        self.assigned -= keys
        self.batcher.drop(keys)
        if not self.own:
            self.cancel_timer(CLIENT_TIMER)
        if self._timed in keys:
            self._timed = None
            if self.waiting:
                self.watch()
            else:
                self.cancel_timer(REQUEST_TIMER)
