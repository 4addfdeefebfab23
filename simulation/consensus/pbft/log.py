"""The replica's log: one instance per sequence number, votes counted once per sender.

A vote costs O(1): one bit per sender that has voted in a phase, one list of votes per digest. The
votes themselves are kept because certificates are made of them (§4.3, §4.4).
"""

from __future__ import annotations

from simulation.base.compiled import mypyc_attr
from simulation.base.digest import Digest
from simulation.base.ids import ReplicaId
from simulation.consensus.pbft.messages import Commit, Prepare, PrePrepare


@mypyc_attr(allow_interpreted_subclasses=True)
class Instance:
    """What a replica knows about one sequence number in one view."""

    __slots__ = (
        "commit_from",
        "commits",
        "committed",
        "pre_prepare",
        "prepare_from",
        "prepared",
        "prepares",
    )

    def __init__(self) -> None:
        self.pre_prepare: PrePrepare | None = None
        self.prepare_from = 0
        """Bit i is set when replica i has sent a PREPARE, whatever its digest."""
        self.prepares: dict[Digest, list[Prepare]] = {}
        self.commit_from = 0
        self.commits: dict[Digest, list[Commit]] = {}
        self.prepared = False
        """prepared(m, v, n, i) holds (§4.2)."""
        self.committed = False
        """committed-local(m, v, n, i) holds (§4.2)."""

    def add_prepare(self, sender: ReplicaId, vote: Prepare) -> int:
        """Count a PREPARE: how many agree with it, or 0 if this sender has voted here before."""
        bit = 1 << sender
        if self.prepare_from & bit:
            return 0
        self.prepare_from |= bit
        votes = self.prepares.get(vote.digest)
        if votes is None:
            self.prepares[vote.digest] = [vote]
            return 1
        votes.append(vote)
        return len(votes)

    def add_commit(self, sender: ReplicaId, vote: Commit) -> int:
        """Count a COMMIT: how many agree with it, or 0 if this sender has voted here before."""
        bit = 1 << sender
        if self.commit_from & bit:
            return 0
        self.commit_from |= bit
        votes = self.commits.get(vote.digest)
        if votes is None:
            self.commits[vote.digest] = [vote]
            return 1
        votes.append(vote)
        return len(votes)

    def durable(self, replica: ReplicaId) -> Instance:
        """What a write-ahead log holds of this entry: the proposal, own votes, and proofs."""
        kept = Instance()
        kept.pre_prepare = self.pre_prepare
        kept.prepared, kept.committed = self.prepared, self.committed
        for prepares in self.prepares.values():
            for prepare in prepares:
                if self.prepared or prepare.signed_by == replica:
                    kept.add_prepare(prepare.signed_by, prepare)
        for commits in self.commits.values():
            for commit in commits:
                if self.committed or commit.signed_by == replica:
                    kept.add_commit(commit.signed_by, commit)
        return kept

    def own_prepare(self, replica: ReplicaId) -> list[Prepare]:
        """The replica's own PREPARE, if it has sent one."""
        proposal = self.pre_prepare
        votes = self.prepares.get(proposal.digest, []) if proposal is not None else []
        return [vote for vote in votes if vote.signed_by == replica]

    def own_commit(self, replica: ReplicaId) -> list[Commit]:
        """The replica's own COMMIT, if it has sent one."""
        proposal = self.pre_prepare
        votes = self.commits.get(proposal.digest, []) if proposal is not None else []
        return [vote for vote in votes if vote.signed_by == replica]
