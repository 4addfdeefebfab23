"""A bench for one PBFT replica: its peers are only their signatures, and the test speaks for them.

Every input goes through ``step``; what comes back is looked at message by message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import pytest

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.core import GENESIS_HISTORY, extend_history
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.pbft.replica import PbftReplica
from simulation.consensus.protocol import (
    Batch,
    Broadcast,
    CancelTimer,
    Decide,
    Effect,
    Executed,
    Loaded,
    Propose,
    Receive,
    Report,
    Request,
    Restarted,
    Send,
    SetTimer,
    TimerFired,
    TimerKey,
)
from simulation.consensus.signing import Signer

T = TypeVar("T")

EAGER = PbftParams(batch_max_age_ms=0.0, checkpoint_interval=4, window=8)
"""Every request its own batch at once, and a window small enough to reach its end."""


def request(client: int, timestamp: int = 1, payload: bytes = b"x") -> Request:
    return Request(client, timestamp, payload)


def batch(*requests: Request, view: int = 0, n: int = 4, time_us: int = 0) -> Batch:
    """What the primary of a view would propose."""
    return Batch(requests, time_us, view, view % n)


def signer(replica: int) -> Signer:
    return Signer(replica)


def state_after(seq: int) -> Digest:
    """The state digest of an imagined application."""
    return tagged_hash(Tag.STATE, b"%d" % seq)


def history_of(batches: Iterable[Batch]) -> Digest:
    """The hash chain over decided batches."""
    history = GENESIS_HISTORY
    for decided in batches:
        history = extend_history(history, decided)
    return history


def pre_prepare(seq: int, proposal: Batch) -> m.PrePrepare:
    """The primary's proposal in the view that the batch names."""
    return m.pre_prepare(signer(proposal.proposer), proposal.view, seq, proposal)


def stable(seq: int, history: Digest, senders: Iterable[int]) -> tuple[m.Checkpoint, ...]:
    """CHECKPOINTs for one claim."""
    return tuple(m.checkpoint(signer(i), seq, history, state_after(seq)) for i in senders)


def prepared_proof(
    seq: int, digest: Digest, view: int = 0, n: int = 4, backups: Iterable[int] | None = None
) -> m.PreparedProof:
    """An element of P: the primary's signature and those of some backups, by default 2f."""
    primary = view % n
    voters = [i for i in range(n) if i != primary][:2] if backups is None else list(backups)
    votes = tuple(m.prepare(signer(i), view, seq, digest) for i in voters)
    signature = signer(primary).sign(m.pre_prepare_statement(view, seq, digest))
    return m.PreparedProof(view, seq, digest, signature, votes)


def view_change(
    sender: int,
    view: int,
    *prepared: m.PreparedProof,
    low: int = 0,
    proof: tuple[m.Checkpoint, ...] = (),
) -> m.ViewChange:
    return m.view_change(signer(sender), view, low, proof, prepared)


def new_view(
    view: int, votes: Iterable[m.ViewChange], *digests: tuple[int, Digest], n: int = 4
) -> m.NewView:
    """What the primary of the view would send, whatever it says."""
    return m.new_view(signer(view % n), view, tuple(votes), digests)


class Effects(list[Effect[Any]]):
    """What one or more steps have asked for."""

    def __add__(self, other: Iterable[Effect[Any]]) -> Effects:  # type: ignore[override]
        return Effects([*self, *other])

    def sent(self, kind: type[T]) -> list[T]:
        """Messages of one type, to whomever."""
        both = [e.message for e in self if isinstance(e, (Send, Broadcast))]
        return [message for message in both if isinstance(message, kind)]

    def to_all(self, kind: type[T]) -> list[T]:
        """Messages of one type that were multicast."""
        found = [e.message for e in self if isinstance(e, Broadcast)]
        return [message for message in found if isinstance(message, kind)]

    def to(self, receiver: int, kind: type[T]) -> list[T]:
        """Messages of one type to one replica alone."""
        found = [e.message for e in self if isinstance(e, Send) and e.to == receiver]
        return [message for message in found if isinstance(message, kind)]

    @property
    def kinds(self) -> list[str]:
        """The kinds of everything put on the wire, in order."""
        return [e.message.kind for e in self if isinstance(e, (Send, Broadcast))]

    @property
    def decisions(self) -> list[tuple[int, Batch]]:
        return [(e.seq, e.batch) for e in self if isinstance(e, Decide)]

    @property
    def reports(self) -> list[str]:
        return [e.what for e in self if isinstance(e, Report)]

    @property
    def timers(self) -> dict[TimerKey, int]:
        """The delay of every timer set, the last one of each name."""
        return {e.timer: e.delay_us for e in self if isinstance(e, SetTimer)}

    @property
    def cancelled(self) -> list[TimerKey]:
        return [e.timer for e in self if isinstance(e, CancelTimer)]


class Bench:
    """One replica under test, by default backup 1 of n = 4 in view 0."""

    def __init__(self, replica: int = 1, n: int = 4, params: PbftParams = EAGER) -> None:
        self.core = PbftReplica(replica, n, params)
        self.n = n
        self.now_us = 0

    def step(self, event: Any) -> Effects:
        return Effects(self.core.step(event, self.now_us))

    def hears(self, sender: int, *messages: m.PbftMessage) -> Effects:
        """Messages from one sender, one after the other."""
        out = Effects()
        for message in messages:
            out += self.step(Receive(sender, message))
        return out

    def proposes(self, wanted: Request) -> Effects:
        return self.step(Propose(wanted))

    def fires(self, *timer: str | int) -> Effects:
        return self.step(TimerFired(timer))

    def executes(self, seq: int) -> Effects:
        return self.step(Executed(seq, state_after(seq)))

    def loads(self, first: int, batches: Iterable[Batch], token: TimerKey) -> Effects:
        return self.step(Loaded(first, tuple(batches), token))

    def restarts(self) -> Effects:
        return self.step(Restarted())

    def gets_prepares(self, seq: int, digest: Digest, *senders: int, view: int = 0) -> Effects:
        out = Effects()
        for i in senders:
            out += self.hears(i, m.prepare(signer(i), view, seq, digest))
        return out

    def gets_commits(self, seq: int, digest: Digest, *senders: int, view: int = 0) -> Effects:
        out = Effects()
        for i in senders:
            out += self.hears(i, m.commit(signer(i), view, seq, digest))
        return out

    def others(self) -> list[int]:
        return [i for i in range(self.n) if i != self.core.id]

    def backups(self, view: int) -> list[int]:
        """The peers that are not the primary of a view."""
        return [i for i in self.others() if i != view % self.n]

    def decides(self, seq: int, proposal: Batch) -> Effects:
        """The normal case of one sequence number up to its execution, as a backup sees it."""
        view = proposal.view
        out = self.hears(proposal.proposer, pre_prepare(seq, proposal))
        out += self.gets_prepares(seq, proposal.digest, *self.backups(view), view=view)
        out += self.gets_commits(seq, proposal.digest, *self.others(), view=view)
        return out + self.executes(seq)

    def decides_up_to(self, last: int, view: int = 0) -> list[Batch]:
        """Decide one batch at each number from the next one on; all that were decided."""
        first = self.core.executed + 1
        made = [batch(request(9, k), view=view, n=self.n) for k in range(first, last + 1)]
        for k, proposal in enumerate(made):
            self.decides(first + k, proposal)
        assert self.core.executed == last
        return made

    def prepares(self, seq: int, proposal: Batch) -> Effects:
        """The normal case up to prepared, as a backup sees it."""
        out = self.hears(proposal.proposer, pre_prepare(seq, proposal))
        backups = self.backups(proposal.view)
        return out + self.gets_prepares(seq, proposal.digest, *backups, view=proposal.view)

    def enters(self, view: int, *digests: tuple[int, Digest]) -> Effects:
        """A view without anything prepared before, started by its primary."""
        voters = [i for i in range(self.n) if i != self.core.id][: self.core.quorum.size]
        votes = [view_change(i, view) for i in voters]
        return self.hears(view % self.n, new_view(view, votes, *digests, n=self.n))


@pytest.fixture
def bench() -> Bench:
    """Backup 1 of four replicas in view 0."""
    return Bench()


@pytest.fixture
def primary() -> Bench:
    """Replica 0 of four, the primary of view 0."""
    return Bench(0)
