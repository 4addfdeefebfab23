"""Retransmission (TOCS 2002, §5.2): a replica that stands still says what it has, others help.

The paper assumes that messages are resent until they arrive. Here nothing is resent while work goes
on; when unfinished work has stood still for a while, one STATUS goes out, and each receiver sends
what the sender lacks, its own messages only.
"""

from __future__ import annotations

from simulation.base.compiled import mypyc_attr
from simulation.base.ids import NodeId
from simulation.base.units import us_from_ms
from simulation.consensus.pbft.messages import (
    Committed,
    StableCheckpoint,
    Status,
)
from simulation.consensus.pbft.requests import RETRY_TIMER
from simulation.consensus.pbft.view_change import ViewChanges

HEARTBEAT_TIMER = ("heartbeat",)

HELP_LIMIT = 64
"""The most decided batches sent in answer to one STATUS."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Retransmission(ViewChanges):
    """Layer 6: lost messages."""

    _seen: tuple[int, int, bool] = (0, 0, True)
    """Progress (executed, view, active) when the retry timer was last set."""
    _tries = 0

    def is_unfinished(self) -> bool:
        """Whether this replica waits for anything from the others."""
        return bool(
            not self.active
            or self.waiting
            or self.own
            or self.target
            or self.missing
            or any(seq > self.executed for seq in self.log)
        )

    def on_retry_timer(self) -> None:
        """Unfinished work: if it has stood still since the last look, ask for help."""
        progress = (self.executed, self.view, self.active)
        if not self.is_unfinished():
            self._tries = 0
            return
        if progress == self._seen:
            self._tries = min(self._tries + 1, 3)
            self.ask_for_help()
        else:
            self._tries = 0
        self._seen = progress
        self.set_timer(RETRY_TIMER, self._retransmit_us << self._tries)

    def on_heartbeat(self) -> None:
        """Tell the others what this replica has, so that it learns what it missed."""
        self.broadcast(self.status())
        self.start_heartbeat()

    def start_heartbeat(self) -> None:
        """Set the heartbeat timer, if the parameters ask for one."""
        if self.params.heartbeat_ms > 0:
            self.set_timer(HEARTBEAT_TIMER, us_from_ms(self.params.heartbeat_ms))

    def ask_for_help(self) -> None:
        """Repeat the own VIEW-CHANGE while one is under way, and say what this replica has."""
        if not self.active:
            self.broadcast(self.view_changes[self.id])
        self.ask_for_missing()
        self.broadcast(self.status())

    def status(self) -> Status:
        """What this replica has."""
        return Status(self.view, self.active, self.low, self.executed)

    def on_status(self, sender: NodeId, message: Status) -> None:
        """Send another replica what it lacks and this one has."""
        if sender == self.id:
            return
        self._help_with_view(sender, message)
        self._help_with_decisions(sender, message)
        if self.active and message.active and message.view == self.view:
            self._help_with_votes(sender, message)
        ahead = message.executed > self.executed or message.low > self.low
        if ahead or (message.view > self.view and message.active):
            self.send(sender, self.status())

    def _help_with_view(self, sender: NodeId, message: Status) -> None:
        behind = message.view < self.view or (message.view == self.view and not message.active)
        if not behind:
            return
        if self.active:
            self.help_view(sender)
        else:
            self.send(sender, self.view_changes[self.id])

    def _help_with_decisions(self, sender: NodeId, message: Status) -> None:
        # The initial state has no certificate, whatever below it a liar claims to be at.
        if message.low < self.low and self.stable_proof:
            self.send(sender, StableCheckpoint(self.stable_proof))
        mine = self.checkpoints.get(self.id, {})
        for seq in sorted(mine):
            if seq > message.low:
                self.send(sender, mine[seq])
        first = max(message.executed, self.low, 0) + 1
        for seq in range(first, min(self.executed, first + HELP_LIMIT - 1) + 1):
            certificate = self.certificates.get(seq)
            if certificate is not None:
                batch, commits = certificate
                self.send(sender, Committed(seq, batch, tuple(commits[: self._quorum_size])))

    def _help_with_votes(self, sender: NodeId, message: Status) -> None:
        """Own votes for what neither has decided, or the sender has not."""
        for seq in sorted(self.log):
            if seq <= max(message.executed, self.executed):
                continue
            entry = self.log[seq]
            proposal = entry.pre_prepare
            if proposal is None:
                continue
            if self.leader == self.id:
                self.send(sender, proposal)
            for prepare in entry.own_prepare(self.id):
                self.send(sender, prepare)
            for commit in entry.own_commit(self.id):
                self.send(sender, commit)
