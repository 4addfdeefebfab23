"""A Raft replica behind the contract: every input is dispatched here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.clients import ExactlyOnce
from simulation.consensus.machine import BATCH_TIMER, CLIENT_TIMER
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import Effect, TimerKey
from simulation.consensus.raft.core import ELECTION_TIMER, HEARTBEAT_TIMER
from simulation.consensus.raft.election import Election
from simulation.consensus.raft.log import Log
from simulation.consensus.raft.messages import (
    AppendEntries,
    AppendReply,
    RaftMessage,
    RequestVote,
    Vote,
)
from simulation.consensus.raft.params import RaftParams


@dataclass(frozen=True)
class Durable:
    """What stable storage holds (Figure 2, persistent state), and what the journal implies."""

    term: int
    voted_for: ReplicaId | None
    log: Log
    commit: int
    """As far as the journal goes: decisions are durable with it."""
    done: ExactlyOnce


class RaftReplica(Election):
    """The whole protocol. Pure: the same inputs give the same effects."""

    # ---- inputs ---------------------------------------------------------------------------------

    def receive(self, sender: NodeId, message: RaftMessage, now_us: int) -> Sequence[Effect[Any]]:
        """Take one message without an input object around it; see `FastReplica`."""
        self.now_us = now_us
        self.out = []
        if isinstance(message, RequestMessage):
            # Only a client may be no replica.
            self.on_request(sender, message.request)
        elif 0 <= sender < self.n and sender != self.id and message.sound:
            self._dispatch(sender, message)
        return self.out

    def _dispatch(
        self, sender: ReplicaId, message: AppendEntries | AppendReply | RequestVote | Vote
    ) -> None:
        match message:
            case AppendEntries():
                self.on_append_entries(sender, message)
            case AppendReply():
                self.see_term(message.term)
                self.on_append_reply(sender, message)
            case RequestVote():
                self.on_request_vote(sender, message)
            case Vote():
                self.on_vote(sender, message)
            case _:
                assert_never(message)

    def on_timer(self, timer: TimerKey) -> None:
        """Whatever waited for this moment goes on."""
        if timer == BATCH_TIMER:
            self.propose_batches()
        elif timer == HEARTBEAT_TIMER:
            self.on_heartbeat_timer()
        elif timer == ELECTION_TIMER:
            self.on_election_timer()
        elif timer == CLIENT_TIMER:
            self.on_client_timer()

    # ---- bounds ---------------------------------------------------------------------------------

    def footprint(self) -> Mapping[str, tuple[int, int]]:
        """For each store its size and the most it may hold; see `Bounded`."""
        return {
            "decided entries": (self.commit - self.log.base, self.params.window),
            "early messages": (len(self.early), self.params.pipeline),
        }

    # ---- crash and recovery ---------------------------------------------------------------------

    def durable(self) -> Durable:
        """What stable storage holds; see `simulation.consensus.protocol.Restorable`."""
        return Durable(self.term, self.voted_for, self.log.copy(), self.commit, self.done.copy())

    def restore(self, durable: Durable) -> None:
        """Take over what an earlier incarnation had made durable; a leader is one no more."""
        self.term, self.voted_for = durable.term, durable.voted_for
        self.log, self.commit = durable.log.copy(), durable.commit
        self.done = durable.done.copy()
        self.role, self.has_leader = "follower", False

    def on_restarted(self) -> None:
        """Back after a crash: no timer runs and messages were missed, so ask the leader."""
        self.timers.clear()
        if self.own:
            self.set_timer(CLIENT_TIMER, us_from_ms(self.params.client_retry_ms))
        if self.role == "leader":
            self.silent = [0] * self.n
            self.announce()
            self.propose_batches()
            return
        self.role, self.has_leader = "follower", False
        self.agreed, self.in_step = 0, False
        self.early.clear()
        if self.n > 1:
            lacks = AppendReply(self.term, False, self.log.last, self.commit)
            self.broadcast(lacks)
        self.watch(restart=True)


def build(replica: ReplicaId, n: int, params: RaftParams) -> RaftReplica:
    """A replica of an n-replica group.

    Raises:
        ValueError: when n < 1.
    """
    return RaftReplica(replica, n, params)
