"""Leader election (§5.2) and its restriction to candidates with all committed entries (§5.4.1)."""

from __future__ import annotations

from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.machine import BATCH_TIMER
from simulation.consensus.protocol import Batch
from simulation.consensus.raft.core import ELECTION_TIMER, HEARTBEAT_TIMER
from simulation.consensus.raft.messages import AppendEntries, RequestVote, Vote
from simulation.consensus.raft.requests import Requests


class Election(Requests):
    """Layer 3: terms and who leads them."""

    def on_election_timer(self) -> None:
        """§5.2: no word from a leader while there is work for one: stand for election."""
        if not self.expects_leader():
            return
        self.failures += 1
        self._enter_term(self.term + 1)
        self.role, self.voted_for, self.votes = "candidate", self.id, {self.id}
        self.report("view-change", f"candidate in term {self.term}")
        self.broadcast(RequestVote(self.term, self.log.last, self.log.last_term))
        self.watch(restart=True)
        self._count_votes()

    def see_term(self, term: int) -> None:
        """Figure 2, all servers: a later term makes anybody a follower."""
        if term > self.term:
            self._enter_term(term)
            self.watch()

    def _enter_term(self, term: int) -> None:
        self.term = term
        self.role, self.voted_for, self.has_leader = "follower", None, False
        self.agreed, self.in_step = 0, False
        self.early.clear()
        self.batcher.clear()
        self.assigned.clear()
        self.cancel_timer(HEARTBEAT_TIMER)
        self.cancel_timer(BATCH_TIMER)

    def on_request_vote(self, candidate: ReplicaId, message: RequestVote) -> None:
        """§5.2, §5.4.1: one vote in each term, for a log at least as up to date as the own one."""
        self.see_term(message.term)
        up_to_date = (message.last_term, message.last_index) >= (self.log.last_term, self.log.last)
        granted = (
            message.term == self.term
            and self.role == "follower"
            and not self.has_leader
            and self.voted_for in (None, candidate)
            and up_to_date
        )
        if granted:
            self.voted_for = candidate
            self.watch(restart=True)
        self.send(candidate, Vote(self.term, granted))

    def on_vote(self, voter: ReplicaId, message: Vote) -> None:
        """§5.2: a majority of votes makes the candidate leader."""
        self.see_term(message.term)
        if message.granted and message.term == self.term and self.role == "candidate":
            self.votes.add(voter)
            self._count_votes()

    def _count_votes(self) -> None:
        if len(self.votes) >= self.majority:
            self._lead()

    def _lead(self) -> None:
        """§5.2, §8: announce it to all, and commit what earlier terms left with a no-op."""
        self.role, self.leader, self.has_leader = "leader", self.id, True
        self.cancel_timer(ELECTION_TIMER)
        self.meet_followers()
        self.report("new-view", f"leader of term {self.term}")
        open_entries = self.log.entries(self.commit + 1, self.log.last)
        self.assigned = {r.key for entry in open_entries for r in entry.requests}
        if open_entries:
            # §5.4.2: entries of earlier terms are committed only along with one of this term.
            self.append_own(Batch((), self.now_us, self.term, self.id))
        else:
            self.announce()
        self.resend_own()

    def announce(self) -> None:
        """§5.2: heartbeats to all."""
        for peer in self.peers:
            self.append_to(peer)
        self.keep_beating()

    def on_append_entries(self, sender: NodeId, message: AppendEntries) -> None:
        """§5.1 to §5.3: the leader of the term speaks; one of an earlier term is told so."""
        self.see_term(message.term)
        if message.term < self.term:
            self.reply(sender, False, self.log.last)
            return
        if self.role == "leader" or (self.has_leader and self.leader != sender):
            return  # Two leaders in one term: cannot happen unless somebody lies.
        self.role = "follower"
        if not self.has_leader:
            self.leader, self.has_leader = sender, True
            self.resend_own()
        self.follow(sender, message)
        self.watch(restart=True)

    def after_commit(self) -> None:
        """The pipeline has room again."""
        self.propose_batches()
