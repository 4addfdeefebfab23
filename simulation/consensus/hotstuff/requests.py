"""Client requests, proposals and votes (Algorithm 3, as a leader and as a replica)."""

from __future__ import annotations

from simulation.base.ids import ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.hotstuff.blocks import Block, QuorumCert
from simulation.consensus.hotstuff.messages import Proposal, Vote, proposal, vote
from simulation.consensus.hotstuff.transfer import Transfer
from simulation.consensus.machine import BATCH_TIMER
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import NULL_BATCH, Request, is_request_well_formed


class Requests(Transfer):
    """Layer 3: from a request to a certified block."""

    # ---- requests -------------------------------------------------------------------------------

    def on_propose(self, request: Request) -> None:
        """The replica's own hospital wants a request ordered: tell all, any may lead next."""
        if not self.take_own(request):
            return
        self.on_request(request)
        self.broadcast(RequestMessage(request))
        self.await_result(self.params.client_retry_ms)

    def on_request(self, request: Request) -> None:
        """Remember a request until it is executed."""
        key = request.key
        if is_request_well_formed(request) and key not in self.done and key not in self.waiting:
            self.waiting[key] = request
            self.batcher.add(request, self.now_us)

    def on_client_timer(self) -> None:
        """No result in time: send the own requests to all again."""
        self.ask_all(self.params.client_retry_ms)

    # ---- as a leader ----------------------------------------------------------------------------

    def try_propose(self) -> None:
        """Propose in the current round if it is this replica's, may start, and has any use."""
        round_ = self.round
        if self.leader_of(round_) != self.id or self.proposed_round >= round_:
            return
        reason = None
        if self.high.round != round_ - 1:
            reason = self.timeout
            if reason is None or reason.view * self.params.tenure != round_:
                return
            if self.wanted is not None:
                return  # Somebody has shown a higher certificate: only its block may be extended.
        self._refill()
        due_us = self.batcher.due_in_us(self.now_us)
        if due_us != 0 and reason is None and not self.is_unresolved(self.best()):
            if due_us is not None and BATCH_TIMER not in self.timers:
                self.set_timer(BATCH_TIMER, due_us)
            return
        batch = NULL_BATCH if due_us is None else self.batcher.take(self.now_us)
        message = proposal(self.signer, self.make_child(round_, batch), reason)
        self.proposed_round = round_
        self.report("pre-prepared", f"round {round_}")
        self.broadcast(message)
        self.accept(self.id, message)

    def _refill(self) -> None:
        """Queue what waits and is not on the way already."""
        if self.pool_is_stale:
            self.pool_is_stale = False
            for request in self.waiting.values():
                self.batcher.add(request, self.now_us)
        self.batcher.drop(self.keys_above_root(self.best()))

    def on_vote(self, sender: ReplicaId, message: Vote) -> None:
        """Algorithm 3, as the next leader: a quorum of votes makes a certificate."""
        round_, digest = message.round, message.digest
        known = self.votes.get(sender)
        if (
            message.signed_by != sender
            or round_ <= self.high.round
            or self.leader_of(round_ + 1) != self.id
            or (known is not None and round_ <= known.round)
        ):
            return
        self.votes[sender] = message
        same = {
            each.signed_by: each.signature
            for each in self.votes.values()
            if (each.round, each.digest) == (round_, digest)
        }
        if len(same) >= self.quorum.size:
            signatures = tuple(same[signer] for signer in sorted(same))
            self.learn(QuorumCert(round_, digest, signatures), sender)

    # ---- as a replica ---------------------------------------------------------------------------

    def accept(self, sender: ReplicaId, message: Proposal) -> None:
        """Algorithm 3, as a replica: look at a proposal, whoever passes it on, and vote for it."""
        block = message.block
        round_ = block.round
        if message.signed_by != self.leader_of(round_) or round_ <= self.root.round:
            return
        if not self.proves(block.justify) or not self.may_start(message):
            return
        first = self.seen.setdefault(round_, message)
        if first.block.digest != block.digest:
            if message.signed_by not in self.accused:
                self.accused.add(message.signed_by)
                self.report("equivocation", f"proposal by replica {message.signed_by}")
            return
        if self.last_proposal is None or round_ > self.last_proposal.block.round:
            self.last_proposal = message
        if message.timeout is not None:
            self.enter_view(message.timeout.view, message)
        self.learn(block.justify, sender, sender != message.signed_by)
        if self.block(block.justify.digest) is None:
            self.pending[round_] = message
        elif self.insert(block):
            self._vote(block)

    def enter_view(self, view: int, message: Proposal) -> None:
        """A quorum has given up the views before: see `Pacemaker`."""

    def may_start(self, message: Proposal) -> bool:
        """Whether the round follows its parent's, or a quorum has given up those between."""
        block, reason = message.block, message.timeout
        if reason is not None:
            tenure = self.params.tenure
            starts = block.round % tenure == 0 and block.round // tenure == reason.view
            return starts and reason.proves(self.n, self.quorum.size)
        return block.round == block.justify.round + 1

    def retry_pending(self) -> None:
        """Look again at proposals whose parents have come meanwhile."""
        for round_ in sorted(self.pending):
            message = self.pending.get(round_)
            if message is not None and self.block(message.block.justify.digest) is not None:
                del self.pending[round_]
                if self.insert(message.block):
                    self._vote(message.block)

    def _vote(self, block: Block) -> None:
        """One vote in each round, if the block is safe, to the next leader only."""
        if block.round <= self.voted_round or block.round < self.round or not self.is_safe(block):
            return
        if not self.is_valid(block):
            self.report("bad-block", f"round {block.round}")
            return
        self.voted_round = block.round
        message, leader = vote(self.signer, block), self.leader_of(block.round + 1)
        if leader == self.id:
            self.on_vote(self.id, message)
        else:
            self.send(leader, message)

    def is_safe(self, block: Block) -> bool:
        """§4.1, safeNode: it extends the locked block, or shows a later certificate.

        A block's parent is the one that its certificate is for, so both rules are one here.
        """
        return block.justify.round >= self.locked_round

    def is_valid(self, block: Block) -> bool:
        """Whether the batch may be executed here: no request twice, and its time not far ahead."""
        batch = block.batch
        latest_us = self.now_us + us_from_ms(self.params.clock_skew_ms)
        if len(block.keys) < len(batch.requests) or batch.time_us > latest_us:
            return False
        parent = self.block(block.justify.digest)
        assert parent is not None
        earlier = self.keys_above_root(parent)
        return not any(key in earlier or key in self.done for key in block.keys)
