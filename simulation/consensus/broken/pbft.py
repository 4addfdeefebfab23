"""PBFT with one rule removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.broken.variant import Broken
from simulation.consensus.clients import ExactlyOnce
from simulation.consensus.pbft import messages as m
from simulation.consensus.pbft.log import Instance
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.pbft.replica import Durable, PbftReplica
from simulation.consensus.pbft.view_change import Selection
from simulation.consensus.protocol import NULL_BATCH, Batch, RequestKey


class QuorumTooSmall(PbftReplica):
    """The quorum is one vote too small."""

    def __init__(self, replica: ReplicaId, n: int, params: PbftParams) -> None:
        super().__init__(replica, n, params)
        self._quorum_size -= 1


class ForgetsPrepared(PbftReplica):
    """VIEW-CHANGE leaves out what was prepared."""

    def _harvest(self) -> None:
        self.proofs.clear()


class NewViewUnverified(PbftReplica):
    """NEW-VIEW is believed without looking at V and O."""

    def is_valid_new_view(self, message: m.NewView) -> bool:
        return bool(message.view_changes)


class ViewChangeUnverified(PbftReplica):
    """Certificates inside a VIEW-CHANGE are believed."""

    def is_valid_view_change(self, message: m.ViewChange) -> bool:
        return len(message.prepared) <= self.params.window


class VotesRepeated(PbftReplica):
    """Votes are not counted once per sender."""

    def instance(self, seq: int) -> Instance:
        entry = self.log.get(seq)
        if entry is None:
            entry = self.log[seq] = _EveryVote()
        return entry


class _EveryVote(Instance):
    __slots__ = ()

    def add_prepare(self, sender: ReplicaId, vote: m.Prepare) -> int:
        self.prepare_from = 0
        return super().add_prepare(sender, vote)

    def add_commit(self, sender: ReplicaId, vote: m.Commit) -> int:
        self.commit_from = 0
        return super().add_commit(sender, vote)


class DigestNotCompared(PbftReplica):
    """Votes count for whatever digest they name."""

    def instance(self, seq: int) -> Instance:
        entry = self.log.get(seq)
        if entry is None:
            entry = self.log[seq] = Instance()
            entry.prepares = _AnyDigest()
            entry.commits = _AnyDigest()
        return entry


class _AnyDigest(dict[Any, Any]):
    """One list of votes for all digests."""

    def get(self, key: object, default: Any = None) -> Any:
        del key
        return super().get(b"", default)

    def __setitem__(self, key: object, value: object) -> None:
        super().__setitem__(b"", value)

    def __getitem__(self, key: object) -> Any:
        return super().__getitem__(b"")


class WaterMarksIgnored(PbftReplica):
    """Sequence numbers outside h < n ≤ H are accepted."""

    def _in_order(self, sender: NodeId, message: m.PrePrepare | m.Prepare | m.Commit) -> bool:
        del sender
        return message.view == self.view and self.active


class WeakCheckpoint(PbftReplica):
    """f + 1 CHECKPOINTs make a stable one."""

    def on_checkpoint(self, sender: NodeId, message: m.Checkpoint) -> None:
        size, self._quorum_size = self._quorum_size, self.quorum.weak
        super().on_checkpoint(sender, message)
        self._quorum_size = size


class TransferUnverified(PbftReplica):
    """Transferred batches are not checked against the certified history."""

    def verifies(self, batches: tuple[Batch, ...], certified: m.Checkpoint) -> bool:
        del batches, certified
        return True


class CommittedUnverified(PbftReplica):
    """A decided batch from another replica is believed without its certificate."""

    def proves_committed(self, message: m.Committed) -> bool:
        return bool(message.commits) and all(r.client >= 0 for r in message.batch.requests)


class TimerNeverDoubles(PbftReplica):
    """Every view gets the same time."""

    def timeout_us(self) -> int:
        return us_from_ms(self.params.request_timeout_ms)


class EarlyDropped(PbftReplica):
    """A vote that comes before its PRE-PREPARE is thrown away."""

    def on_prepare(self, sender: NodeId, message: m.Prepare) -> None:
        entry = self.log.get(message.seq)
        if entry is not None and entry.pre_prepare is not None:
            super().on_prepare(sender, message)


class OutOfOrder(PbftReplica):
    """A batch is executed as soon as it is committed, whatever comes before it."""

    def check_committed(self, seq: int, entry: Instance) -> None:
        before = entry.committed
        super().check_committed(seq, entry)
        if entry.committed and not before and seq > self.executed and entry.pre_prepare is not None:
            self.execute(seq, entry.pre_prepare.batch)


class ExecutesTwice(PbftReplica):
    """A request that was executed is executed again when it is ordered again."""

    def __init__(self, replica: ReplicaId, n: int, params: PbftParams) -> None:
        super().__init__(replica, n, params)
        self.done = _NothingDone()


class _NothingDone(ExactlyOnce):
    def __contains__(self, key: RequestKey) -> bool:
        return False

    def mark(self, key: RequestKey) -> bool:
        super().mark(key)
        return True

    def copy(self) -> ExactlyOnce:
        return _NothingDone()


class StaleViewAccepted(PbftReplica):
    """Messages of views that were left still count."""

    def _in_order(self, sender: NodeId, message: m.PrePrepare | m.Prepare | m.Commit) -> bool:
        in_window = self.low < message.seq <= self.high
        if in_window and self.active and message.view < self.view:
            return True
        return super()._in_order(sender, message)


class PayloadNotHashed(PbftReplica):
    """PREPARE is sent for the digest in the PRE-PREPARE, whatever the batch is."""

    def payload_matches(self, message: m.PrePrepare) -> bool:
        return message.batch.view == message.view


class BackupProposes(PbftReplica):
    """A PRE-PREPARE counts from anybody."""

    def is_from_primary(self, sender: NodeId, message: m.PrePrepare) -> bool:
        return sender == message.signed_by != self.id

    def payload_matches(self, message: m.PrePrepare) -> bool:
        return message.payload_ok


class OldestProofWins(PbftReplica):
    """O takes the digest of the lowest view instead of the highest."""

    def select(self, votes: Iterable[m.ViewChange]) -> Selection:
        upside_down = [
            replace(vote, prepared=tuple(replace(p, view=-p.view) for p in vote.prepared))
            for vote in votes
        ]
        return super().select(upside_down)


class NoNullRequests(PbftReplica):
    """O leaves gaps where nothing was prepared."""

    def select(self, votes: Iterable[m.ViewChange]) -> Selection:
        selection = super().select(votes)
        null = NULL_BATCH.digest
        kept = tuple((seq, digest) for seq, digest in selection.digests if digest != null)
        return Selection(selection.low, selection.stable, kept)


class Amnesia(PbftReplica):
    """After a crash only the executed decisions are known, not what was voted for."""

    def restore(self, durable: Durable) -> None:
        super().restore(
            replace(
                durable,
                log={},
                proofs={},
                next_seq=durable.executed + 1,
                view_change=None,
                view=0,
                active=True,
                new_view=None,
                view_floor=0,
            )
        )


class CommitsUnprepared(PbftReplica):
    """COMMIT is sent with the PREPARE."""

    def accept(self, message: m.PrePrepare, entry: Instance) -> None:
        super().accept(message, entry)
        if not entry.prepared:
            vote = m.commit(self.signer, self.view, message.seq, message.digest)
            if entry.add_commit(self.id, vote):
                self.broadcast(vote)


class NeverTruncates(PbftReplica):
    """The log is kept for ever."""

    def _truncate(self) -> None:
        pass


class StableUnverified(PbftReplica):
    """A certificate for a checkpoint is believed without counting its signers."""

    def proves_stable(self, proof: tuple[m.Checkpoint, ...]) -> bool:
        return len(proof) > 0


class WatchesOwnOnly(PbftReplica):
    """The timer runs for requests of the own client only: nobody else defends a censored one."""

    def watch(self) -> None:
        theirs = {k: r for k, r in self.waiting.items() if k not in self.own}
        if len(theirs) < len(self.waiting):
            super().watch()

    def on_request_timer(self) -> None:
        if self._timed in self.own:
            super().on_request_timer()
        else:
            self._timed = None


PBFT: dict[str, Broken] = {
    "quorum-too-small": Broken(QuorumTooSmall, ("certificate",)),
    "forgets-prepared": Broken(ForgetsPrepared, ("agreement", "liveness")),
    "new-view-unverified": Broken(NewViewUnverified, ("agreement", "water-marks")),
    "view-change-unverified": Broken(ViewChangeUnverified, ("agreement", "liveness")),
    "votes-repeated": Broken(VotesRepeated, ("certificate",)),
    "digest-not-compared": Broken(DigestNotCompared, ("certificate", "liveness")),
    "water-marks-ignored": Broken(WaterMarksIgnored, ("water-marks", "bounded-log")),
    "weak-checkpoint": Broken(WeakCheckpoint, ("certificate",)),
    "transfer-unverified": Broken(TransferUnverified, ("agreement",)),
    "committed-unverified": Broken(CommittedUnverified, ("agreement", "certificate")),
    "timer-never-doubles": Broken(TimerNeverDoubles, ("liveness",)),
    "early-dropped": Broken(EarlyDropped, ("quiet",)),
    "out-of-order": Broken(OutOfOrder, ("total-order",)),
    "executes-twice": Broken(ExecutesTwice, ("exactly-once",)),
    "stale-view-accepted": Broken(
        StaleViewAccepted, ("certificate", "single-vote", "monotone-view")
    ),
    "payload-not-hashed": Broken(PayloadNotHashed, ("agreement",)),
    "backup-proposes": Broken(
        BackupProposes, ("single-vote", "certificate", "agreement", "liveness")
    ),
    "oldest-proof-wins": Broken(OldestProofWins, ("agreement", "liveness")),
    "no-null-requests": Broken(NoNullRequests, ("liveness", "agreement")),
    "amnesia": Broken(Amnesia, ("single-vote", "monotone-view")),
    "commits-unprepared": Broken(CommitsUnprepared, ("certificate",)),
    "never-truncates": Broken(NeverTruncates, ("bounded-log", "liveness")),
    "stable-unverified": Broken(StableUnverified, ("certificate", "liveness", "agreement")),
    "watches-own-only": Broken(WatchesOwnOnly, ("liveness",)),
}
"""The broken variants by name."""
