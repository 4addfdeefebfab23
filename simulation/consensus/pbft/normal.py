"""The normal case (§4.2): pre-prepare, prepare, commit, and execution in order."""

from __future__ import annotations

from simulation.base.ids import NodeId
from simulation.consensus.pbft.log import Instance
from simulation.consensus.pbft.messages import Commit, Prepare, PrePrepare, commit, prepare
from simulation.consensus.pbft.requests import Requests


class NormalCase(Requests):
    """Layer 2: three phases that order one batch per sequence number."""

    def on_pre_prepare(self, sender: NodeId, message: PrePrepare) -> None:
        """§4.2: a backup accepts a PRE-PREPARE provided that the four conditions hold."""
        if sender != self.leader or message.signed_by != sender or sender == self.id:
            return
        entry = self.instance(message.seq)
        accepted = entry.pre_prepare
        if accepted is not None:
            if accepted.digest != message.digest:
                self.report("equivocation", message.seq, f"pre-prepare by replica {sender}")
            return
        if not self.payload_matches(message):
            return
        entry.pre_prepare = message
        self.report("pre-prepared", message.seq)
        for request in message.batch.requests:
            key = (request.client, request.timestamp)
            if key not in self.waiting and key not in self.done:
                self.waiting[key] = request
        self.watch()
        vote = prepare(self.signer, self.view, message.seq, message.digest)
        entry.add_prepare(self.id, vote)
        self.broadcast(vote)
        self.check_prepared(message.seq, entry)

    def payload_matches(self, message: PrePrepare) -> bool:
        """The batch hashes to the digest and its time is not far ahead of this replica's clock."""
        return message.payload_ok and message.batch.time_us <= self.now_us + self._skew_us

    def on_prepare(self, sender: NodeId, message: Prepare) -> None:
        """§4.2: count a PREPARE; the primary sends none, its PRE-PREPARE stands for it."""
        if message.signed_by != sender or sender == self.leader:
            return
        seq = message.seq
        entry = self.log.get(seq) or self.instance(seq)
        if not entry.add_prepare(sender, message):
            return
        if not entry.prepared and entry.pre_prepare is not None:
            self.check_prepared(seq, entry)

    def check_prepared(self, seq: int, entry: Instance) -> None:
        """§4.2: prepared(m, v, n, i) is a PRE-PREPARE and matching PREPAREs, a quorum together."""
        proposal = entry.pre_prepare
        if proposal is None or entry.prepared:
            return
        votes = entry.prepares.get(proposal.digest)
        if votes is None or len(votes) < self._quorum_size - 1:
            return
        entry.prepared = True
        self.report("prepared", seq)
        vote = commit(self.signer, self.view, seq, proposal.digest)
        entry.add_commit(self.id, vote)
        self.broadcast(vote)
        self.check_committed(seq, entry)

    def on_commit(self, sender: NodeId, message: Commit) -> None:
        """§4.2: count a COMMIT."""
        if message.signed_by != sender:
            return
        seq = message.seq
        entry = self.log.get(seq) or self.instance(seq)
        if not entry.add_commit(sender, message):
            return
        if entry.prepared and not entry.committed:
            self.check_committed(seq, entry)

    def check_committed(self, seq: int, entry: Instance) -> None:
        """§4.2: committed-local(m, v, n, i) is prepared and a quorum of matching COMMITs."""
        proposal = entry.pre_prepare
        if proposal is None or entry.committed or not entry.prepared:
            return
        votes = entry.commits.get(proposal.digest)
        if votes is None or len(votes) < self._quorum_size:
            return
        entry.committed = True
        if seq == self.executed + 1:
            self.execute_ready()

    def execute_ready(self) -> None:
        """§4.2: execute every committed batch whose predecessors are all executed."""
        while (entry := self.log.get(self.executed + 1)) is not None and entry.committed:
            proposal = entry.pre_prepare
            if proposal is None:
                break
            self.decide(self.executed + 1, proposal.view, proposal.batch)
            self.settle({(r.client, r.timestamp) for r in proposal.batch.requests})
        self.propose_batches()
