"""A PBFT replica behind the contract: every input is dispatched here, in two matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from simulation.base.compiled import mypyc_attr
from simulation.base.digest import Digest
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.clients import ExactlyOnce
from simulation.consensus.machine import BATCH_TIMER, CLIENT_TIMER
from simulation.consensus.messages import RequestMessage
from simulation.consensus.pbft.checkpoint import KEPT_PER_SENDER
from simulation.consensus.pbft.log import Instance
from simulation.consensus.pbft.messages import (
    BatchBody,
    Checkpoint,
    Commit,
    Committed,
    FetchBatch,
    FetchState,
    NewView,
    PbftMessage,
    Prepare,
    PreparedProof,
    PrePrepare,
    StableCheckpoint,
    State,
    Status,
    ViewChange,
)
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.pbft.requests import REQUEST_TIMER, RETRY_TIMER
from simulation.consensus.pbft.retransmit import HEARTBEAT_TIMER, Retransmission
from simulation.consensus.pbft.transfer import FETCH_TIMER
from simulation.consensus.pbft.view_change import VIEW_TIMER
from simulation.consensus.protocol import (
    Batch,
    Effect,
    Executed,
    Input,
    Loaded,
    Propose,
    Restarted,
    TimerFired,
    TimerKey,
)

EARLY_PER_SENDER = 4
"""Early messages kept per sender, in multiples of the window: three phases and a checkpoint."""


_NOTHING: tuple[Effect[Any], ...] = ()
"""No effects; never the list that the next input fills."""


@dataclass(frozen=True)
class Durable:
    """What a replica's write-ahead log holds: enough never to contradict what it has sent."""

    view: int
    active: bool
    executed: int
    history: Digest
    marks: dict[int, Digest]
    low: int
    stable_proof: tuple[Checkpoint, ...]
    log: dict[int, Instance]
    certificates: dict[int, tuple[Batch, list[Commit]]]
    bodies: dict[Digest, tuple[int, Batch]]
    proofs: dict[int, PreparedProof]
    checkpoints: dict[int, Checkpoint]
    view_change: ViewChange | None
    new_view: NewView | None
    view_floor: int
    next_seq: int
    settled_view: int
    done: ExactlyOnce


@mypyc_attr(allow_interpreted_subclasses=True)
class PbftReplica(Retransmission):
    """The whole protocol. Pure: the same inputs give the same effects."""

    def __init__(self, replica: ReplicaId, n: int, params: PbftParams) -> None:
        super().__init__(replica, n, params)
        self._early: dict[ReplicaId, list[PrePrepare | Prepare | Commit]] = {}
        self._early_limit = EARLY_PER_SENDER * params.window
        self._starts = params.heartbeat_ms > 0
        self._window = params.window

    # ---- inputs ---------------------------------------------------------------------------------

    def step(self, event: Input[PbftMessage], now_us: int) -> Sequence[Effect[PbftMessage]]:
        """Take one input; see `simulation.consensus.protocol.Replica`."""
        return super().step(event, now_us) or _NOTHING

    def take(self, event: Propose | TimerFired | Executed | Loaded | Restarted) -> None:
        """Dispatch an input that is no message, then look again at what was too early for it."""
        before = (self.low, self.view, self.active)
        super().take(event)
        if before != (self.low, self.view, self.active):
            self._replay_early()

    def receive(self, sender: NodeId, message: PbftMessage, now_us: int) -> Sequence[Effect[Any]]:
        """Take one message without an input object around it; see `FastReplica`."""
        self.now_us = now_us
        if self.out:
            self.out = []
        if self._starts:
            self._starts = False
            self.start_heartbeat()
        low, view, active = self.low, self.view, self.active
        # Votes that are in order, nearly all messages, are spared the dispatch.
        if (
            isinstance(message, (Commit, Prepare))
            and message.view == view
            and low < message.seq <= low + self._window
            and active
            and 0 <= sender < self.n
        ):
            if isinstance(message, Commit):
                self.on_commit(sender, message)
            else:
                self.on_prepare(sender, message)
        else:
            self._dispatch(sender, message)
        if low != self.low or view != self.view or active != self.active:
            self._replay_early()
        return self.out or _NOTHING

    def _dispatch(self, sender: NodeId, message: PbftMessage) -> None:
        if not 0 <= sender < self.n:
            # Only a client may be no replica; its request carries its own signature.
            if isinstance(message, RequestMessage):
                self.on_request(sender, message)
            return
        match message:
            case Commit():
                if self._in_order(sender, message):
                    self.on_commit(sender, message)
            case Prepare():
                if self._in_order(sender, message):
                    self.on_prepare(sender, message)
            case PrePrepare():
                if self._in_order(sender, message):
                    self.on_pre_prepare(sender, message)
            case RequestMessage():
                self.on_request(sender, message)
            case Checkpoint():
                self.on_checkpoint(sender, message)
            case _:
                self._dispatch_recovery(sender, message)

    def _dispatch_recovery(
        self,
        sender: NodeId,
        message: ViewChange
        | NewView
        | FetchBatch
        | BatchBody
        | Status
        | Committed
        | StableCheckpoint
        | FetchState
        | State,
    ) -> None:
        match message:
            case ViewChange():
                self.on_view_change(sender, message)
            case NewView():
                self.on_new_view(sender, message)
            case FetchBatch():
                self.on_fetch_batch(sender, message)
            case BatchBody():
                self.on_batch_body(message)
            case Status():
                self.on_status(sender, message)
            case Committed():
                self.on_committed(message)
            case StableCheckpoint():
                self.on_stable_checkpoint(message)
            case FetchState():
                self.on_fetch_state(sender, message)
            case State():
                self.on_state(sender, message)
            case _:
                assert_never(message)

    def on_timer(self, timer: TimerKey) -> None:
        """Whatever waited for this moment goes on."""
        if timer == BATCH_TIMER:
            self.propose_batches()
        elif timer == REQUEST_TIMER:
            self.on_request_timer()
        elif timer == CLIENT_TIMER:
            self.on_client_timer()
        elif timer == RETRY_TIMER:
            self.on_retry_timer()
        elif timer == VIEW_TIMER:
            self.on_view_timer()
        elif timer == FETCH_TIMER:
            self.on_fetch_timer()
        elif timer == HEARTBEAT_TIMER:
            self.on_heartbeat()

    # ---- early messages (§4.2) ------------------------------------------------------------------

    def _in_order(self, sender: NodeId, message: PrePrepare | Prepare | Commit) -> bool:
        """§4.2: right view, and h < n ≤ H. Early messages are set aside, late ones ignored."""
        low = self.low
        if (
            message.view == self.view
            and low < message.seq <= low + self.params.window
            and self.active
        ):
            return True
        if message.view >= self.view and low < message.seq <= self.high + self.params.window:
            self.set_aside(sender, message)
        return False

    def set_aside(self, sender: NodeId, message: PrePrepare | Prepare | Commit) -> None:
        """Keep an early message until the view or the window has moved, within a bound."""
        early = self._early.setdefault(sender, [])
        if len(early) < self._early_limit:
            early.append(message)
            self.arm_retry()

    def _replay_early(self) -> None:
        """Look at early messages again; those that are still early are set aside again."""
        before = None
        while before != (self.low, self.view, self.active):
            before = (self.low, self.view, self.active)
            early, self._early = self._early, {}
            for sender in sorted(early):
                for message in early[sender]:
                    self._dispatch(sender, message)

    # ---- bounds --------------------------------------------------------------------------------

    def footprint(self) -> Mapping[str, tuple[int, int]]:
        """For each store its size and the most it may hold; see `Bounded`."""
        window = self.params.window
        early = max((len(kept) for kept in self._early.values()), default=0)
        checkpoints = max((len(sent) for sent in self.checkpoints.values()), default=0)
        return {
            "log": (len(self.log), window),
            "certificates": (len(self.certificates), window),
            "proofs": (len(self.proofs), window),
            "bodies": (len(self.bodies), 4 * window),
            "early messages of a sender": (early, self._early_limit),
            "checkpoints of a sender": (checkpoints, KEPT_PER_SENDER),
            "view changes": (len(self.view_changes), self.n),
        }

    # ---- crash and recovery ---------------------------------------------------------------------

    def durable(self) -> Durable:
        """What stable storage holds; see `simulation.consensus.protocol.Restorable`."""
        return Durable(
            view=self.view,
            active=self.active,
            executed=self.executed,
            history=self.history,
            marks=dict(self.marks),
            low=self.low,
            stable_proof=self.stable_proof,
            log={seq: entry.durable(self.id) for seq, entry in self.log.items()},
            certificates={s: (b, list(votes)) for s, (b, votes) in self.certificates.items()},
            bodies=dict(self.bodies),
            proofs=dict(self.proofs),
            checkpoints=dict(self.checkpoints.get(self.id, {})),
            view_change=self.view_changes.get(self.id),
            new_view=self.new_view_message,
            view_floor=self.view_floor,
            next_seq=self.next_seq,
            settled_view=self.settled_view,
            done=self.done.copy(),
        )

    def restore(self, durable: Durable) -> None:
        """Take over what an earlier incarnation had made durable."""
        self.view, self.active = durable.view, durable.active
        self.executed, self.history = durable.executed, durable.history
        self.marks = dict(durable.marks)
        self.low, self.stable_proof = durable.low, durable.stable_proof
        self.log = {seq: entry.durable(self.id) for seq, entry in durable.log.items()}
        self.certificates = {s: (b, list(v)) for s, (b, v) in durable.certificates.items()}
        self.bodies, self.proofs = dict(durable.bodies), dict(durable.proofs)
        self.checkpoints = {self.id: dict(durable.checkpoints)}
        self.new_view_message = durable.new_view
        if durable.view_change is not None:
            self.view_changes = {self.id: durable.view_change}
        self.view_floor, self.next_seq = durable.view_floor, durable.next_seq
        self.settled_view = durable.settled_view
        self.done = durable.done.copy()

    def on_restarted(self) -> None:
        """Back after a crash: no timer runs and messages were missed, so ask the others."""
        self.timers.clear()
        self.unwatch()
        for seq in sorted(self.log):
            proposal = self.log[seq].pre_prepare
            if proposal is not None and seq > self.executed:
                for request in proposal.batch.requests:
                    key = request.key
                    if key not in self.done:
                        self.waiting.setdefault(key, request)
                        if self.leader == self.id:
                            self.assigned.add(key)
        if self.own:
            self.set_timer(CLIENT_TIMER, us_from_ms(self.params.client_retry_ms))
        if self.target:
            self.set_fetch_timer()
        self.watch()
        self.propose_batches()
        if not self.active:
            self.count_view_changes()
        self.ask_for_help()
        self.arm_retry()
        self.start_heartbeat()


def build(replica: ReplicaId, n: int, params: PbftParams) -> PbftReplica:
    """A replica of an n-replica group.

    Raises:
        ValueError: when n < 4.
    """
    return PbftReplica(replica, n, params)
