"""State transfer: a replica that is behind gets the decided batches it missed, and checks them.

The ledger is the state, so what is transferred are decided batches. Those up to a stable checkpoint
are checked against the history digest in its certificate (§4.3); those after it come one by one,
each with its commit certificate (§4.2). Nothing is executed before it is checked.
"""

from __future__ import annotations

from simulation.base.compiled import mypyc_attr
from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.machine import MAX_DOUBLINGS
from simulation.consensus.pbft.checkpoint import Checkpoints
from simulation.consensus.pbft.core import extend_history
from simulation.consensus.pbft.messages import (
    Checkpoint,
    Committed,
    FetchState,
    StableCheckpoint,
    State,
)
from simulation.consensus.protocol import Batch, Load, TimerKey, is_well_formed

FETCH_TIMER = ("fetch",)


@mypyc_attr(allow_interpreted_subclasses=True)
class Transfer(Checkpoints):
    """Layer 4: catching up."""

    target: tuple[Checkpoint, ...] = ()
    """The certificate of the checkpoint that this replica is fetching; empty when it is not."""
    _source: ReplicaId = -1
    _stalls = 0
    """How often in a row the timer found nothing new."""
    _patience = 0
    """How often all signers were asked in vain: the timer doubles with each."""
    _seen_fetched: tuple[int, int] = (0, 0)
    _fetched: tuple[Batch, ...] = ()
    """Batches from ``executed + 1`` on, all from the same source, unchecked."""

    def fall_behind(self, proof: tuple[Checkpoint, ...]) -> None:
        """§4.3: a certificate for a state this replica has not reached: fetch it if it must."""
        if self.target and self.target[0].seq >= proof[0].seq:
            return
        self.target = proof
        if FETCH_TIMER not in self.timers:
            self._source = self.id
            self._patience = 0
            self.set_fetch_timer()
            # Within the window the missing votes are probably on their way: wait for the timer.
            if proof[0].seq > self.high:
                self._fetch_from_next()

    def fetch_now(self, proof: tuple[Checkpoint, ...]) -> None:
        """Fetch without waiting: the votes for this stretch are gone for good."""
        idle = not self.target
        self.on_stable(proof)
        # Beyond the window somebody has been asked already; a second answer would be thrown away.
        if idle and self.target and self._source == self.id:
            self._fetch_from_next()

    def on_fetch_timer(self) -> None:
        """The source has not answered, or its answer did not help: ask another one."""
        if not self.target:
            return
        if self.target[0].seq <= self.executed:
            self._reached()
            return
        progress = (self.executed, len(self._fetched))
        self._stalls = 0 if progress != self._seen_fetched else self._stalls + 1
        self._seen_fetched = progress
        if self._source == self.id or self._stalls > 1:
            self._fetch_from_next()
        else:
            # The answer may only be lost: ask the same source again before giving it up.
            self._ask()
        self.set_fetch_timer()

    def set_fetch_timer(self) -> None:
        """Look again after a while whether the transfer has got on."""
        self.set_timer(FETCH_TIMER, self._retransmit_us << self._patience)

    def _fetch_from_next(self) -> None:
        """Ask the next replica, in turn, that has signed the certificate."""
        signers = sorted({vote.signed_by for vote in self.target} - {self.id})
        if not signers:
            return
        after = [signer for signer in signers if signer > self._source]
        if not after and self._source != self.id:
            # Their answers may take longer than the timer: then only doubling finds a value that
            # works, as an answer from who is no longer the source is not taken.
            self._patience = min(self._patience + 1, MAX_DOUBLINGS)
        self._source = after[0] if after else signers[0]
        self._fetched = ()
        self._stalls = 0
        self._ask()

    def _ask(self) -> None:
        first = self.executed + 1 + len(self._fetched)
        self.send(self._source, FetchState(first, self.target[0].seq))

    def on_fetch_state(self, sender: NodeId, message: FetchState) -> None:
        """Another replica wants decided batches: read them from the journal."""
        last = min(message.last, self.executed, message.first + self.params.transfer_batches - 1)
        if 0 < message.first <= last:
            self.out.append(Load(message.first, last, ("state", sender)))

    def on_loaded(self, first: int, batches: tuple[Batch, ...], token: TimerKey) -> None:
        """The journal has answered: pass it on to who asked."""
        match token:
            case ("state", int(sender)) if batches and sender != self.id and 0 <= sender < self.n:
                self.send(sender, State(first, batches))
            case _:
                pass

    def on_state(self, sender: NodeId, message: State) -> None:
        """Batches from the source: execute them if they lead to the certified history."""
        expected = self.executed + 1 + len(self._fetched)
        if not self.target or sender != self._source or message.first != expected:
            return
        missing = self.target[0].seq - expected + 1
        batches = message.batches[: max(0, missing)]
        if not batches or not all(is_well_formed(batch) for batch in batches):
            return
        self._fetched += batches
        if len(batches) < missing:
            self._ask()
            return
        self._install(sender)

    def _install(self, sender: NodeId) -> None:
        proof, batches = self.target, self._fetched
        if not self.verifies(batches, proof[0]):
            self.report("bad-transfer", proof[0].seq, f"from replica {sender}")
            self._fetch_from_next()
            return
        self.report("state-transfer", proof[0].seq, f"{len(batches)} batches from {sender}")
        for batch in batches:
            self.execute(self.executed + 1, batch)
        self._reached()

    def verifies(self, batches: tuple[Batch, ...], certified: Checkpoint) -> bool:
        """Whether these batches lead from this replica's history to the certified one."""
        history = self.history
        for batch in batches:
            history = extend_history(history, batch)
        return history == certified.history

    def _reached(self) -> None:
        """The target is executed: it becomes the stable checkpoint."""
        proof, self.target, self._fetched = self.target, (), ()
        self.cancel_timer(FETCH_TIMER)
        self.on_stable(proof)
        self.execute_ready()

    def on_stable_checkpoint(self, message: StableCheckpoint) -> None:
        """A certificate from a replica that is ahead."""
        proof = message.proof
        if self.proves_stable(proof) and proof[0].seq > self.low:
            self.fetch_now(proof)

    def on_committed(self, message: Committed) -> None:
        """One decided batch with its commit certificate: as good as having seen the votes."""
        seq = message.seq
        if not self.executed < seq <= self.high or seq in self.certificates:
            return
        if self.proves_committed(message):
            self.certificates[seq] = (message.batch, list(message.commits))
            self.keep_body(seq, message.batch)
            self.execute_ready()

    def proves_committed(self, message: Committed) -> bool:
        """Whether the COMMITs are a quorum for this batch at this sequence number, in one view."""
        if not message.commits or not is_well_formed(message.batch):
            return False
        view, digest = message.commits[0].view, message.batch.digest
        return (
            all((c.view, c.seq, c.digest) == (view, message.seq, digest) for c in message.commits)
            and self.signers(c.signed_by for c in message.commits) >= self._quorum_size
        )
