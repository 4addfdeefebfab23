"""The state that all layers of a HotStuff replica share."""

from __future__ import annotations

from simulation.base.digest import Digest
from simulation.base.ids import ReplicaId
from simulation.consensus.hotstuff.blocks import GENESIS, GENESIS_QC, Block, QuorumCert, TimeoutCert
from simulation.consensus.hotstuff.messages import (
    CommitProof,
    HotStuffMessage,
    NewView,
    Proposal,
    Vote,
)
from simulation.consensus.hotstuff.params import MIN_REPLICAS, HotStuffParams, too_few
from simulation.consensus.machine import Machine
from simulation.consensus.protocol import Report, Request, RequestKey
from simulation.consensus.quorum import byzantine_quorum
from simulation.consensus.signing import Signer

ROUND_TIMER = ("round",)
FETCH_TIMER = ("fetch",)


class Core(Machine[HotStuffParams, HotStuffMessage]):
    """State of one replica; Algorithms 3 and 4 name its parts."""

    def __init__(self, replica: ReplicaId, n: int, params: HotStuffParams) -> None:
        if n < MIN_REPLICAS:
            raise ValueError(f"replicas: {too_few(n)}")
        super().__init__(replica, n, params)
        self.quorum = byzantine_quorum(n, params.quorum)
        self.signer = Signer(replica)
        self._start_chain()
        self._start_rounds()
        self._start_clients()

    def _start_chain(self) -> None:
        self.fresh: dict[Digest, Block] = {}
        """Blocks that are not committed and whose chain to the last committed one is known."""
        self.kept: dict[Digest, Block] = {GENESIS.digest: GENESIS}
        """The last committed blocks, oldest first."""
        self.root: Block = GENESIS
        """The last committed block (b_exec); its batches and all before it are decided."""
        self.tip: Block = GENESIS
        """The block of the highest round, certified or not."""
        self.high: QuorumCert = GENESIS_QC
        """The highest certificate whose block is here (genericQC, qc_high)."""
        self.locked_round = 0
        """Round of the locked certificate (lockedQC)."""
        self.voted_round = 0
        """The last round voted in (vheight): at most one vote in each."""
        self.proof: CommitProof | None = None
        """Why the root is committed."""
        self.executed = 0
        """The last sequence number decided."""
        self.decided_history: Digest = GENESIS.history
        """Hash chain over the decided batches."""
        self.wanted: QuorumCert | None = None
        """The highest certificate whose block is not here."""
        self.pending: dict[int, Proposal] = {}
        """By round: proposals whose parent is not here."""
        self.seen: dict[int, Proposal] = {}
        """By round: the first proposal of its leader."""

    def _start_rounds(self) -> None:
        self.round = 1
        """The round that this replica is in (curView)."""
        self.target = 0
        """The view that this replica has last asked for."""
        self.insists = False
        """Whether it asks again, while that view has not come."""
        self.timeout: TimeoutCert | None = None
        """The certificate with which the view was entered, when its predecessor was given up."""
        self.entered = False
        """Whether the current input has moved this replica to another round."""
        self.failures = 0
        """Views given up since the last commitment: the timeout doubles with each."""
        self.new_views: dict[ReplicaId, NewView] = {}
        """The latest NEW-VIEW of each replica."""
        self.votes: dict[ReplicaId, Vote] = {}
        """At the next leader: the latest vote of each replica."""
        self.proposed_round = 0
        """The last round proposed in."""
        self.last_proposal: Proposal | None = None
        """The valid proposal of the highest round."""
        self.accused: set[ReplicaId] = set()
        """Replicas caught with two proposals in one round."""

    def _start_clients(self) -> None:
        self.waiting: dict[RequestKey, Request] = {}
        """Known requests that are not executed yet, oldest first."""
        self.pool_is_stale = False
        """Whether requests taken into blocks that were given up must be queued again."""

    # ---- numbers --------------------------------------------------------------------------------

    def leader_of(self, round_: int) -> ReplicaId:
        """§5: leaders take turns."""
        return (round_ // self.params.tenure) % self.n

    @property
    def leader(self) -> ReplicaId:
        """Who leads this replica's round."""
        return self.leader_of(self.round)

    @property
    def view(self) -> int:
        """The tenure that this replica is in."""
        return self.round // self.params.tenure

    def block(self, digest: Digest) -> Block | None:
        """A block that is here, committed or not."""
        return self.fresh.get(digest) or self.kept.get(digest)

    def report(self, what: str, detail: str = "") -> None:
        """Record something of note."""
        self.out.append(Report(what, self.view, self.executed, detail))
