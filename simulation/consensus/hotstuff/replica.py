"""A HotStuff replica behind the contract: every input is dispatched here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.clients import ExactlyOnce
from simulation.consensus.hotstuff.core import FETCH_TIMER, ROUND_TIMER
from simulation.consensus.hotstuff.messages import (
    Blocks,
    CommitProof,
    FetchBlocks,
    FetchState,
    HotStuffMessage,
    NewView,
    Proposal,
    State,
    Sync,
    Vote,
)
from simulation.consensus.hotstuff.pacemaker import Pacemaker
from simulation.consensus.hotstuff.params import HotStuffParams
from simulation.consensus.machine import BATCH_TIMER, CLIENT_TIMER
from simulation.consensus.messages import RequestMessage
from simulation.consensus.protocol import (
    Effect,
    Executed,
    Loaded,
    Propose,
    Restarted,
    TimerFired,
    TimerKey,
)

DURABLE = (
    "fresh",
    "kept",
    "root",
    "tip",
    "high",
    "locked_round",
    "voted_round",
    "proof",
    "executed",
    "decided_history",
    "seen",
    "round",
    "target",
    "insists",
    "timeout",
    "failures",
    "proposed_round",
    "last_proposal",
    "done",
)
"""What a write-ahead log holds: enough never to contradict a vote or a proposal."""


class HotStuffReplica(Pacemaker):
    """The whole protocol. Pure: the same inputs give the same effects."""

    # ---- inputs ---------------------------------------------------------------------------------

    def take(self, event: Propose | TimerFired | Executed | Loaded | Restarted) -> None:
        """Dispatch an input that is no message; what has been executed changes nothing."""
        if not isinstance(event, Executed):
            super().take(event)
            self._go_on()

    def receive(
        self, sender: NodeId, message: HotStuffMessage, now_us: int
    ) -> Sequence[Effect[Any]]:
        """Take one message without an input object around it; see `FastReplica`."""
        self.now_us = now_us
        self.out = []
        if isinstance(message, RequestMessage):
            # Only a client may be no replica.
            self.on_request(message.request)
        elif 0 <= sender < self.n and sender != self.id:
            self._dispatch(sender, message)
        self._go_on()
        return self.out

    def _go_on(self) -> None:
        """After every input: vote for what was pending, propose what is due, watch the leader."""
        if self.pending:
            self.retry_pending()
        self.try_propose()
        self.watch()

    def _dispatch(
        self,
        sender: ReplicaId,
        message: Proposal
        | Vote
        | NewView
        | Sync
        | FetchBlocks
        | Blocks
        | CommitProof
        | FetchState
        | State,
    ) -> None:
        match message:
            case Vote():
                self.on_vote(sender, message)
            case Proposal():
                self.accept(sender, message)
            case NewView():
                self.on_new_view(sender, message)
            case Sync():
                self.on_sync(sender, message)
            case FetchBlocks():
                self.on_fetch_blocks(sender, message)
            case Blocks():
                self.on_blocks(message)
            case CommitProof():
                self.on_commit_proof(sender, message)
            case FetchState():
                self.on_fetch_state(sender, message)
            case State():
                self.on_state(sender, message)
            case _:
                assert_never(message)

    def on_timer(self, timer: TimerKey) -> None:
        """Whatever waited for this moment goes on."""
        if timer == ROUND_TIMER:
            self.on_round_timer()
        elif timer == CLIENT_TIMER:
            self.on_client_timer()
        elif timer == FETCH_TIMER:
            self.on_fetch_timer()
        elif timer == BATCH_TIMER:
            pass  # `_go_on` proposes what has become due.

    # ---- bounds ---------------------------------------------------------------------------------

    def footprint(self) -> Mapping[str, tuple[int, int]]:
        """For each store its size and the most it may hold; see `Bounded`."""
        return {
            "committed blocks": (len(self.kept), self.params.window),
            "new views": (len(self.new_views), self.n),
            "votes": (len(self.votes), self.n),
        }

    # ---- crash and recovery ---------------------------------------------------------------------

    def durable(self) -> dict[str, Any]:
        """What stable storage holds; see `simulation.consensus.protocol.Restorable`."""
        return {name: _snapshot(getattr(self, name)) for name in DURABLE}

    def restore(self, durable: Mapping[str, Any]) -> None:
        """Take over what an earlier incarnation had made durable."""
        for name in DURABLE:
            setattr(self, name, _snapshot(durable[name]))

    def on_restarted(self) -> None:
        """Back after a crash: no timer runs and messages were missed, so ask the others."""
        self.timers.clear()
        if self.own:
            self.set_timer(CLIENT_TIMER, us_from_ms(self.params.client_retry_ms))
        if self.goal is not None or self.wanted is not None:
            self.set_timer(FETCH_TIMER, us_from_ms(self.params.retransmit_ms))
        self.pool_is_stale = True
        self.announce()


def _snapshot(value: Any) -> Any:
    """A copy that later steps do not change: containers are copied, what is in them is frozen."""
    if isinstance(value, dict):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return value.copy() if isinstance(value, ExactlyOnce) else value


def build(replica: ReplicaId, n: int, params: HotStuffParams) -> HotStuffReplica:
    """A replica of an n-replica group.

    Raises:
        ValueError: when n < 4.
    """
    return HotStuffReplica(replica, n, params)
