"""The state that all layers of a Raft replica share (Figure 2)."""

from __future__ import annotations

from typing import Literal

from simulation.base.ids import ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.draw import Draw
from simulation.consensus.machine import CLIENT_TIMER, MAX_DOUBLINGS, Machine
from simulation.consensus.protocol import Decide, Report, RequestKey
from simulation.consensus.quorum import majority
from simulation.consensus.raft.log import Log
from simulation.consensus.raft.messages import AppendEntries, RaftMessage
from simulation.consensus.raft.params import RaftParams, too_few

ELECTION_TIMER = ("election",)
HEARTBEAT_TIMER = ("heartbeat",)

FIRST_LEADER: ReplicaId = 0
"""Who leads term 0, before any election."""

Role = Literal["follower", "candidate", "leader"]


class Core(Machine[RaftParams, RaftMessage]):
    """State of one replica; Figure 2 names its parts."""

    def __init__(self, replica: ReplicaId, n: int, params: RaftParams) -> None:
        if n < 1:
            raise ValueError(f"replicas: {too_few(n)}")
        super().__init__(replica, n, params)
        self.majority = majority(n, 0)
        self.peers = tuple(i for i in range(n) if i != replica)
        self.term = 0
        """currentTerm."""
        self.voted_for: ReplicaId | None = None
        """votedFor, in the current term."""
        self.role: Role = "leader" if replica == FIRST_LEADER else "follower"
        self.leader: ReplicaId = FIRST_LEADER
        """The last leader heard of."""
        self.has_leader = True
        """Whether a leader of the current term is known."""
        self.votes: set[ReplicaId] = set()
        """Who has voted for this candidate."""
        self.failures = 0
        """Elections called since the last commitment: the timeout doubles with each."""
        self.log = Log()
        self.commit = 0
        """commitIndex; everything up to it is decided at once, so it is lastApplied too."""
        self.agreed = 0
        """Up to here the log is known to match that of the current term's leader."""
        self.in_step = False
        """Whether the current term's leader has found where its log and this one match."""
        self.early: dict[int, AppendEntries] = {}
        """AppendEntries of this term that overtook what they follow, by ``prev_index``."""
        self.assigned: set[RequestKey] = set()
        """At the leader: requests in its log above the commit index."""
        self.meet_followers()

    def meet_followers(self) -> None:
        """Forget what is known of each follower: a new leader starts afresh (Figure 2)."""
        self.next = [self.log.last + 1] * self.n
        """nextIndex: the next entry to send to each follower."""
        self.match = [0] * self.n
        """matchIndex: up to here each follower's log is known to match."""
        self.known_commit = [0] * self.n
        """The commitIndex that each follower has last told."""
        self.silent = [0] * self.n
        """How many heartbeats each follower has left unanswered."""
        self.stood_at = [-1] * self.n
        """matchIndex of each follower that was behind at the last heartbeat; −1 of the others."""
        self.sent_us = [0] * self.n
        """When something was last sent to each follower."""
        self.probed: list[tuple[int, int]] = [(0, 0)] * self.n
        """For each follower, from where entries were last sent again on its word, and when."""

    def report(self, what: str, detail: str = "") -> None:
        """Record something of note."""
        self.out.append(Report(what, self.term, self.commit, detail))

    # ---- deciding (§5.3) ------------------------------------------------------------------------

    def decide_up_to(self, index: int) -> None:
        """§5.3: apply the entries up to a new commit index, in order, each request once."""
        while self.commit < index:
            self.commit += 1
            fresh = self.done.execute(self.log.entry(self.commit))
            keys = fresh.keys
            for key in keys:
                self.own.pop(key, None)
            self.assigned -= keys
            self.batcher.drop(keys)
            self.failures = 0
            self.out.append(Decide(self.commit, fresh.view, fresh, fresh.proposer))
        if not self.own:
            self.cancel_timer(CLIENT_TIMER)
        if self.commit - self.log.base > self.params.window:
            self.log.compact(self.commit - self.params.window // 2)

    # ---- the election timer (§5.2) --------------------------------------------------------------

    def expects_leader(self) -> bool:
        """Whether there is anything that a leader should be doing for this replica."""
        return self.role != "leader" and (
            not self.has_leader or bool(self.own) or self.log.last > self.commit
        )

    def watch(self, restart: bool = False) -> None:
        """Run the election timer while there is unfinished work; ``restart``: the leader lives."""
        if not self.expects_leader():
            self.cancel_timer(ELECTION_TIMER)
        elif restart or ELECTION_TIMER not in self.timers:
            self.set_timer(ELECTION_TIMER, self.election_timeout_us())

    def election_timeout_us(self) -> int:
        """§5.2: drawn from T to 2T, differently at each replica and in each term, and doubled."""
        base_us = us_from_ms(self.params.election_timeout_ms)
        drawn_us = base_us + Draw(self.id, self.term).below(base_us + 1)
        return drawn_us << min(self.failures, MAX_DOUBLINGS)
