"""The normal case (§4.2): pre-prepare, prepare, commit, and execution in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from simulation.base.compiled import mypyc_attr
from simulation.base.ids import NodeId
from simulation.base.units import us_from_ms
from simulation.consensus.pbft.log import Instance
from simulation.consensus.pbft.messages import Commit, Prepare, PrePrepare, commit, prepare
from simulation.consensus.pbft.requests import Requests
from simulation.consensus.protocol import Batch


@mypyc_attr(allow_interpreted_subclasses=True)
class NormalCase(Requests):
    """Layer 2: three phases that order one batch per sequence number."""

    def on_pre_prepare(self, sender: NodeId, message: PrePrepare) -> None:
        """§4.2: a backup accepts a PRE-PREPARE provided that the four conditions hold."""
        if not self.is_from_primary(sender, message) or message.seq <= self.view_floor:
            return
        entry = self.instance(message.seq)
        accepted = entry.pre_prepare
        if accepted is not None:
            if accepted.digest != message.digest:
                self.accuse(sender, accepted, message, message.seq)
            return
        if self.payload_matches(message):
            self.accept(message, entry)

    def is_from_primary(self, sender: NodeId, message: PrePrepare) -> bool:
        """Whether the PRE-PREPARE is signed and sent by the primary of its view."""
        return sender == message.signed_by == message.view % self.n and sender != self.id

    def payload_matches(self, message: PrePrepare) -> bool:
        """The payload is hashed before the vote; view, proposer and time must be the primary's."""
        batch = message.batch
        return (
            message.payload_ok
            and batch.view == message.view
            and batch.proposer == message.signed_by
            and batch.time_us <= self.now_us + us_from_ms(self.params.clock_skew_ms)
        )

    def accept(self, message: PrePrepare, entry: Instance) -> None:
        """§4.2: enter the prepare phase: log the proposal, multicast a PREPARE."""
        seq = message.seq
        entry.pre_prepare = message
        self.keep_body(seq, message.batch)
        self.report("pre-prepared", seq)
        for request in message.batch.requests:
            key = request.key
            if key not in self.waiting and key not in self.done:
                self.waiting[key] = request
        self.watch()
        self.arm_retry()
        vote = prepare(self.signer, message.view, seq, message.digest)
        entry.add_prepare(self.id, vote)
        self.broadcast(vote)
        self.check_prepared(seq, entry)

    def on_prepare(self, sender: NodeId, message: Prepare) -> None:
        """§4.2: count a PREPARE; the primary sends none, its PRE-PREPARE stands for it."""
        if message.signed_by != sender or sender == self.view % self.n:
            return
        seq = message.seq
        entry = self.log.get(seq) or self.instance(seq)
        agree = entry.add_prepare(sender, message)
        if agree >= self._quorum_size - 1:
            if not entry.prepared:
                self.check_prepared(seq, entry)
        elif not agree:
            self._look_again(sender, message, entry.prepares.values())

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
        agree = entry.add_commit(sender, message)
        if agree >= self._quorum_size:
            if not entry.committed:
                self.check_committed(seq, entry)
        elif not agree:
            self._look_again(sender, message, entry.commits.values())

    def check_committed(self, seq: int, entry: Instance) -> None:
        """§4.2: committed-local(m, v, n, i) is prepared and a quorum of matching COMMITs."""
        proposal = entry.pre_prepare
        if proposal is None or entry.committed or not entry.prepared:
            return
        votes = entry.commits.get(proposal.digest)
        if votes is None or len(votes) < self._quorum_size:
            return
        entry.committed = True
        self.certificates.setdefault(seq, (proposal.batch, votes))
        if seq == self.executed + 1:
            self.execute_ready()

    def execute_ready(self) -> None:
        """§4.2: execute every committed batch whose predecessors are all executed."""
        while (certificate := self.certificates.get(self.executed + 1)) is not None:
            self.execute(self.executed + 1, certificate[0])
        self.propose_batches()

    def execute(self, seq: int, batch: Batch) -> None:
        """Decide one batch and forget the requests in it."""
        self.deliver(seq, batch)
        if batch.requests:
            if self.active:
                self.settled_view = self.view
            self.settle(batch.keys)

    # ---- votes before their time (`simulation.consensus.protocol.Absorbing`) --------------------

    def absorb(self, sender: NodeId, message: Any) -> bool:
        """Count a vote that completes no quorum and contradicts none, in the current view.

        What is in the log lies between the water marks, so they need no second look.
        """
        # Nearly all messages of a run pass here, so nothing is called that need not be.
        kind = type(message)
        if kind is not Commit and kind is not Prepare:
            return False
        entry = self.log.get(message.seq)
        if (
            entry is None
            or message.view != self.view
            or message.signed_by != sender
            or not self.active
            or not 0 <= sender < self.n
        ):
            return False
        bit = 1 << sender
        if kind is Commit:
            commits = entry.commits.get(message.digest)
            if (
                commits is None
                or entry.commit_from & bit
                or not (entry.committed or len(commits) + 1 < self._quorum_size)
            ):
                return False
            entry.commit_from |= bit
            commits.append(message)
            return True
        prepares = entry.prepares.get(message.digest)
        if (
            prepares is None
            or entry.prepare_from & bit
            or not (entry.prepared or len(prepares) + 2 < self._quorum_size)
            or sender == message.view % self.n
        ):
            return False
        entry.prepare_from |= bit
        prepares.append(message)
        return True

    def give_back(self, sender: NodeId, message: Prepare | Commit) -> None:
        """Undo `absorb` for the last vote."""
        entry = self.log[message.seq]
        if isinstance(message, Commit):
            entry.commit_from ^= 1 << sender
            entry.commits[message.digest].pop()
        else:
            entry.prepare_from ^= 1 << sender
            entry.prepares[message.digest].pop()

    def _look_again(
        self,
        sender: NodeId,
        message: Prepare | Commit,
        counted: Iterable[Sequence[Prepare | Commit]],
    ) -> None:
        """A second vote of one sender: nothing when it repeats the first one, else evidence."""
        for votes in counted:
            for vote in votes:
                if vote.signed_by == sender and vote.digest != message.digest:
                    self.accuse(sender, vote, message, message.seq)
