"""Raft's own properties, checked from outside: one leader and one vote in each term (Figure 3)."""

from __future__ import annotations

from typing import Any

from simulation.base.ids import ReplicaId
from simulation.consensus.invariants import Invariants
from simulation.consensus.protocol import Decide
from simulation.consensus.quorum import majority
from simulation.consensus.raft.messages import AppendEntries, AppendReply, RequestVote
from simulation.consensus.raft.params import RaftParams


class RaftInvariants(Invariants):
    """Watches terms, leaders and what stands behind each decision."""

    def __init__(self, n: int, honest: frozenset[ReplicaId]) -> None:
        super().__init__(n, honest)
        self._majority = majority(n, 0)
        self._leaders: dict[int, ReplicaId] = {}
        self._terms = [0] * n
        self._stored = [0] * n
        """Up to here each replica has acknowledged the log, or written it as leader."""

    def on_send(self, replica: ReplicaId, message: Any, now_us: int) -> None:
        """An honest replica sends a message."""
        match message:
            case AppendEntries(term, prev_index, _, entries):
                # Election safety (§5.2): at most one leader in each term.
                first = self._leaders.setdefault(term, replica)
                if first != replica:
                    what = f"replicas {first} and {replica} both lead term {term}"
                    self.violate("single-leader", replica, now_us, what)
                self._note(replica, prev_index + len(entries))
            case AppendReply(term, True, index):
                self._note(replica, index)
            case AppendReply(term) | RequestVote(term):
                pass
            case _:
                return
        if term < self._terms[replica]:
            what = f"term {term} after {self._terms[replica]}"
            self.violate("monotone-view", replica, now_us, what)
        self._terms[replica] = max(self._terms[replica], term)

    def on_decide(self, replica: ReplicaId, decision: Decide, now_us: int) -> None:
        """An honest replica has decided: a majority must have said that it stores the entry."""
        super().on_decide(replica, decision, now_us)
        stored = sum(index >= decision.seq for index in self._stored)
        if stored < self._majority and self.n > 1:
            what = f"{decision.seq} decided with {stored} copies, needs {self._majority}"
            self.violate("certificate", replica, now_us, what)

    def _note(self, replica: ReplicaId, index: int) -> None:
        self._stored[replica] = max(self._stored[replica], index)


def observe(n: int, honest: frozenset[ReplicaId], params: RaftParams) -> RaftInvariants:
    """The observer of a Raft group."""
    del params
    return RaftInvariants(n, honest)
