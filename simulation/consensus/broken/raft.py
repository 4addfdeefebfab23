"""Raft with one rule removed."""

from __future__ import annotations

from dataclasses import replace

from simulation.base.ids import ReplicaId
from simulation.consensus.broken.variant import Broken
from simulation.consensus.raft.messages import AppendEntries, RequestVote
from simulation.consensus.raft.params import RaftParams
from simulation.consensus.raft.replica import Durable, RaftReplica


class MinorityCommits(RaftReplica):
    """One copy fewer than a majority is enough to commit."""

    def __init__(self, replica: ReplicaId, n: int, params: RaftParams) -> None:
        super().__init__(replica, n, params)
        self.majority = max(1, self.majority - 1)


class ForgetsVotes(RaftReplica):
    """The vote is not persistent."""

    def durable(self) -> Durable:
        return replace(super().durable(), voted_for=None, term=0)


class VotesTwice(RaftReplica):
    """A replica votes for whoever asks."""

    def on_request_vote(self, candidate: ReplicaId, message: RequestVote) -> None:
        self.voted_for, self.has_leader = None, False
        super().on_request_vote(candidate, message)


class AcceptsAnything(RaftReplica):
    """§5.3: the consistency check of AppendEntries is missing."""

    def follow(self, leader: ReplicaId, message: AppendEntries) -> None:
        found = self.log.term_at(message.prev_index)
        super().follow(leader, replace(message, prev_term=found or 0))


class ElectsAnybody(RaftReplica):
    """§5.4.1 is missing: the candidate's log does not matter."""

    def on_request_vote(self, candidate: ReplicaId, message: RequestVote) -> None:
        super().on_request_vote(candidate, RequestVote(message.term, 2**60, 2**60))


RAFT: dict[str, Broken] = {
    "minority-commits": Broken(MinorityCommits, ("certificate", "agreement")),
    "forgets-votes": Broken(ForgetsVotes, ("monotone-view",)),
    "votes-twice": Broken(VotesTwice, ("single-leader",)),
    "accepts-anything": Broken(AcceptsAnything, ("agreement",)),
    "elects-anybody": Broken(ElectsAnybody, ("agreement",)),
}
"""The broken variants by name."""
