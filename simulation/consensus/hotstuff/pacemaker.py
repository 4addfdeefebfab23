"""The pacemaker (§4.4, §6, Algorithm 5): when to give up a leader, and how to meet again.

The paper asks of it only that honest replicas end up in one round with an honest leader for long
enough. Here NEW-VIEWs go to all, a replica joins when f + 1 others have given up, and enters the
next view when a quorum has.
"""

from __future__ import annotations

from simulation.base.ids import ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.hotstuff.blocks import TimeoutCert
from simulation.consensus.hotstuff.core import ROUND_TIMER
from simulation.consensus.hotstuff.messages import (
    NewView,
    Proposal,
    RequestMessage,
    Sync,
    new_view,
)
from simulation.consensus.hotstuff.requests import Requests
from simulation.consensus.machine import MAX_DOUBLINGS


class Pacemaker(Requests):
    """Layer 4: rounds, views and timeouts."""

    # ---- rounds ---------------------------------------------------------------------------------

    def enter_round(self, round_: int) -> None:
        """Algorithm 3: to the next round, by a certificate of the one before or by a timeout."""
        if round_ > self.round:
            self.round = round_
            self.entered = True

    def has_work(self) -> bool:
        """Whether this replica waits for a leader to do something."""
        return (
            bool(self.waiting)
            or (self.insists and self.target > self.view)
            or self.wanted is not None
            or self.is_unresolved(self.tip)
        )

    def watch(self) -> None:
        """Run the timer while there is unfinished work; start it again in every round."""
        if not self.has_work():
            self.cancel_timer(ROUND_TIMER)
        elif self.entered or ROUND_TIMER not in self.timers:
            self.set_timer(ROUND_TIMER, self.timeout_us())
        self.entered = False

    def timeout_us(self) -> int:
        """§4.4: doubled for every view given up since the last commitment."""
        return us_from_ms(self.params.round_timeout_ms) << min(self.failures, MAX_DOUBLINGS)

    def on_progress(self) -> None:
        """A commitment: timeouts start from the first again, and who was alone in asking for the
        next leader is content with this one.
        """
        super().on_progress()
        self.failures = 0
        self.insists = self.insists and self._asked_for_by(self.quorum.weak) > self.view

    # ---- giving up ------------------------------------------------------------------------------

    def on_round_timer(self) -> None:
        """§4.1, the nextView interrupt: ask for the next leader, or once more for it."""
        if self.has_work():
            # Others may not know what this replica waits for, and then would not join it.
            for request in list(self.waiting.values())[: self.params.batch_max_requests]:
                self.broadcast(RequestMessage(request))
            self._ask_for(max(self.target, self.view + 1))

    def _ask_for(self, view: int) -> None:
        if view > self.target:
            self.report("view-change", f"from view {self.view} to {view}")
        self.target, self.insists = view, True
        message = new_view(self.signer, view, self.high)
        self.new_views[self.id] = message
        self.broadcast(message)
        self._count_new_views()

    def announce(self) -> None:
        """Tell all how far this replica is; those ahead of it answer."""
        self.broadcast(new_view(self.signer, max(self.target, self.view), self.high))

    def on_new_view(self, sender: ReplicaId, message: NewView) -> None:
        """onReceiveNewView: learn its certificate, count it, help a replica that is behind."""
        if message.signed_by != sender or not self.proves(message.high):
            return
        known = self.new_views.get(sender)
        if known is None or message.view > known.view:
            self.new_views[sender] = message
        if message.high.round < self.high.round or message.view <= self.view:
            self.send(sender, Sync(self.high, self.last_proposal, self.timeout))
        self.learn(message.high, sender, at_once=True)
        self._count_new_views()

    def _count_new_views(self) -> None:
        """Join when f + 1 have given up, and enter the view that a quorum asks for."""
        some = self._asked_for_by(self.quorum.weak)
        if some > self.view and (some > self.target or not self.insists):
            self._ask_for(some)
            return
        view = self._asked_for_by(self.quorum.size)
        if view > self.view:
            behind = [m for _, m in sorted(self.new_views.items()) if m.view >= view]
            votes = tuple((m.view, m.signature) for m in behind[: self.quorum.size])
            self._enter(TimeoutCert(view, votes))

    def _asked_for_by(self, replicas: int) -> int:
        """The latest view that so many replicas have asked for, or a later one; 0 for none."""
        views = sorted((message.view for message in self.new_views.values()), reverse=True)
        return views[replicas - 1] if len(views) >= replicas else 0

    def enter_view(self, view: int, message: Proposal) -> None:
        """A proposal carries the certificate with which its leader has entered the view."""
        if view > self.view and message.timeout is not None:
            self._enter(message.timeout)

    def _enter(self, certificate: TimeoutCert) -> None:
        """Start the view's first round; what its predecessor had proposed may be lost."""
        first = certificate.view * self.params.tenure
        if first <= self.round:
            return
        self.timeout = certificate
        self.failures += 1
        self.pool_is_stale = True
        self.enter_round(first)
        self.report("new-view", f"round {first}")

    def on_sync(self, sender: ReplicaId, message: Sync) -> None:
        """Another replica shows how far it is."""
        if message.timeout is not None and message.timeout.proves(self.n, self.quorum.size):
            self._enter(message.timeout)
        if self.proves(message.high):
            self.learn(message.high, sender, at_once=True)
        if message.proposal is not None:
            self.accept(sender, message.proposal)
