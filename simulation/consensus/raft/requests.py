"""Client requests (§5.1, §8): to the leader, into a batch, into its log."""

from __future__ import annotations

from simulation.base.ids import NodeId
from simulation.base.units import us_from_ms
from simulation.consensus.machine import CLIENT_TIMER
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import Request, is_request_well_formed
from simulation.consensus.raft.replication import Replication


class Requests(Replication):
    """Layer 2: what a replica does with requests before they are in the log."""

    def on_propose(self, request: Request) -> None:
        """The replica's own hospital wants a request ordered."""
        if not self.take_own(request):
            return
        self.await_result(self.params.client_retry_ms)
        if self.role == "leader":
            self._queue(request)
        elif self.has_leader:
            self.send(self.leader, RequestMessage(request))
        self.watch()

    def on_request(self, sender: NodeId, request: Request) -> None:
        """A request arrives; whoever is not the leader passes it on (§8)."""
        if not is_request_well_formed(request):
            return
        if self.role != "leader":
            if self.has_leader and self.leader not in (sender, self.id):
                self.send(self.leader, RequestMessage(request))
            return
        key = request.key
        known = key in self.done or key in self.assigned or key in self.batcher
        if not known:
            self._queue(request)
        elif sender in self.peers:
            # It asks again: the answer says that the leader lives, and what is committed.
            self.append_to(sender)

    def on_client_timer(self) -> None:
        """No result in time: send the own requests to the leader again (§8)."""
        if not self.own:
            return
        self.resend_own()
        self.set_timer(CLIENT_TIMER, us_from_ms(self.params.client_retry_ms))

    def resend_own(self) -> None:
        """Send the own client's open requests to the leader that is known now."""
        for request in list(self.own.values()):
            if self.role == "leader":
                key = request.key
                if key not in self.assigned:
                    self._queue(request)
            elif self.has_leader:
                self.send(self.leader, RequestMessage(request))

    def _queue(self, request: Request) -> None:
        self.batcher.add(request, self.now_us)
        self.propose_batches()

    def propose_batches(self) -> None:
        """Append every batch that is due to the log while the pipeline has room."""
        while (
            self.role == "leader"
            and self.log.last - self.commit < self.params.pipeline
            and self.is_batch_due()
        ):
            batch = self.batcher.take(self.now_us, self.term, self.id)
            self.assigned |= batch.keys
            self.append_own(batch)
            self.report("pre-prepared")
