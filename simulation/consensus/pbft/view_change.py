"""View changes (§4.4): a new primary takes over, and nothing that was decided is lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simulation.base.compiled import mypyc_attr
from simulation.base.digest import Digest
from simulation.base.ids import NodeId, ReplicaId
from simulation.consensus.pbft.log import Instance
from simulation.consensus.pbft.messages import (
    Assignment,
    BatchBody,
    Checkpoint,
    FetchBatch,
    NewView,
    PreparedProof,
    PrePrepare,
    ViewChange,
    new_view,
    pre_prepare_statement,
    view_change,
)
from simulation.consensus.pbft.params import PbftParams
from simulation.consensus.pbft.transfer import Transfer
from simulation.consensus.protocol import NULL_BATCH, Batch, is_well_formed

VIEW_TIMER = ("view-change",)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a set V of VIEW-CHANGEs means for the new view."""

    low: int
    """min-s: the newest stable checkpoint in V."""
    stable: tuple[Checkpoint, ...]
    """Its certificate."""
    digests: tuple[tuple[int, Digest], ...]
    """O: sequence number and digest, from min-s + 1 to max-s without gaps."""


@mypyc_attr(allow_interpreted_subclasses=True)
class ViewChanges(Transfer):
    """Layer 5: views."""

    def __init__(self, replica: ReplicaId, n: int, params: PbftParams) -> None:
        super().__init__(replica, n, params)
        self.view_changes: dict[ReplicaId, ViewChange] = {}
        """The VIEW-CHANGE for the highest view from each replica, this one included."""
        self.new_view_message: NewView | None = None
        """What started the current view; None in view 0."""
        self.missing: dict[Digest, list[Assignment]] = {}
        """Parts of O whose batch this replica does not have."""

    def on_request_timer(self) -> None:
        """§4.4: the primary has not ordered a request in time: suspect it."""
        timed, self._timed = self._timed, None
        if timed is None or timed not in self.waiting or not self.active:
            self.watch()
            return
        if self.leader == self.id:
            # A primary does not suspect itself; the others will if it is cut off.
            self.watch()
            return
        self.report("request-timeout", self.executed + 1)
        self.start_view_change(self.view + 1)

    def on_view_timer(self) -> None:
        """§4.5.2: no NEW-VIEW in time: try the next primary, and wait twice as long for it."""
        if not self.active:
            self.start_view_change(self.view + 1)

    def start_view_change(self, view: int) -> None:
        """§4.4: stop accepting messages of the old view and multicast VIEW-CHANGE."""
        self._harvest()
        self.view = view
        self.active = False
        self.missing = {}
        self.unwatch()
        self.cancel_timer(VIEW_TIMER)
        proofs = tuple(self.proofs[seq] for seq in sorted(self.proofs))
        message = view_change(self.signer, view, self.low, self.stable_proof, proofs)
        self.view_changes[self.id] = message
        self.report("view-change", self.low, f"to view {view}")
        self.broadcast(message)
        self.arm_retry()
        self.count_view_changes()

    def _harvest(self) -> None:
        """Keep proofs of what is prepared in the view that ends: they make P (§4.4)."""
        for seq, entry in self.log.items():
            proposal = entry.pre_prepare
            if entry.prepared and proposal is not None and seq > self.low:
                votes = entry.prepares[proposal.digest][: self._quorum_size - 1]
                self.proofs[seq] = PreparedProof(
                    proposal.view, seq, proposal.digest, proposal.signature, tuple(votes)
                )

    def on_view_change(self, sender: NodeId, message: ViewChange) -> None:
        """§4.4: collect VIEW-CHANGEs; join a view change that f + 1 replicas ask for."""
        if message.signed_by != sender or message.view <= 0:
            return
        if message.view < self.view or (message.view == self.view and self.active):
            self.help_view(sender)
            return
        known = self.view_changes.get(sender)
        if known is not None and known.view >= message.view:
            if known.view == message.view and known != message:
                self.accuse(sender, known, message, message.low)
            return
        if not self.is_valid_view_change(message):
            self.report("bad-view-change", message.low, f"from replica {sender}")
            return
        self.view_changes[sender] = message
        higher = sorted(m.view for m in self.view_changes.values() if m.view > self.view)
        if len(higher) >= self.quorum.weak:
            # §4.5.2: one of f + 1 is honest, so the wait for the timer is over.
            self.start_view_change(higher[0])
        else:
            self.count_view_changes()

    def help_view(self, sender: NodeId) -> None:
        """A replica asks for a view that has started already: show it the proof."""
        if self.active and self.new_view_message is not None and sender != self.id:
            self.send(sender, self.new_view_message)

    def count_view_changes(self) -> None:
        """§4.4: a quorum of VIEW-CHANGEs starts the timer, and the new primary its view."""
        if self.active:
            return
        # A replica that has gone on to a later view has left this one too. Were it not counted, a
        # group of exactly a quorum would wait for ever for the VIEW-CHANGE that it has replaced.
        gone = sum(m.view >= self.view for m in self.view_changes.values())
        if gone >= self._quorum_size and VIEW_TIMER not in self.timers:
            # §4.5.2: only now: replicas that start together meet in the same view.
            self.set_timer(VIEW_TIMER, self.timeout_us())
        votes = [m for m in self.view_changes.values() if m.view == self.view]
        if self.leader == self.id and len(votes) >= self._quorum_size:
            votes.sort(key=lambda m: m.signed_by)
            selection = self.select(votes)
            message = new_view(self.signer, self.view, tuple(votes), selection.digests)
            self.broadcast(message)
            self.enter_view(message, selection)

    # ---- certificates ---------------------------------------------------------------------------

    def is_valid_view_change(self, message: ViewChange) -> bool:
        """§4.4: C proves the checkpoint, and every element of P is a prepared certificate."""
        key = (self.n, self._quorum_size, self.params.window)
        valid = message.checked.get(key)
        if valid is None:
            valid = message.checked[key] = self._check_view_change(message)
        return valid

    def _check_view_change(self, message: ViewChange) -> bool:
        if message.low == 0:
            if message.stable:
                return False
        elif not self.proves_stable(message.stable) or message.stable[0].seq != message.low:
            return False
        seqs = [proof.seq for proof in message.prepared]
        in_window = all(message.low < s <= message.low + self.params.window for s in seqs)
        return (
            in_window
            and len(set(seqs)) == len(seqs)
            and all(
                0 <= proof.view < message.view and self.proves_prepared(proof)
                for proof in message.prepared
            )
        )

    def proves_prepared(self, proof: PreparedProof) -> bool:
        """§4.2: the primary's signature and a quorum, with it, of matching PREPAREs."""
        primary = proof.view % self.n
        statement = pre_prepare_statement(proof.view, proof.seq, proof.digest)
        backups = self.signers(
            vote.signed_by
            for vote in proof.prepares
            if vote.signed_by != primary
            and (vote.view, vote.seq, vote.digest) == (proof.view, proof.seq, proof.digest)
        )
        return (
            proof.signature.replica == primary
            and proof.signature.signs(statement)
            and backups >= self._quorum_size - 1
        )

    def select(self, votes: Iterable[ViewChange]) -> Selection:
        """§4.4: compute O: for each number the digest prepared in the highest view, or null."""
        messages = list(votes)
        newest = max(messages, key=lambda m: m.low)
        best: dict[int, PreparedProof] = {}
        for message in messages:
            for proof in message.prepared:
                if proof.seq > newest.low:
                    chosen = best.get(proof.seq)
                    if chosen is None or proof.view > chosen.view:
                        best[proof.seq] = proof
        last = max(best, default=newest.low)
        digests = tuple(
            (seq, best[seq].digest if seq in best else NULL_BATCH.digest)
            for seq in range(newest.low + 1, last + 1)
        )
        return Selection(newest.low, newest.stable, digests)

    def on_new_view(self, sender: NodeId, message: NewView) -> None:
        """§4.4: accept a NEW-VIEW that is signed by its primary and proves V and O."""
        if message.view < self.view or (message.view == self.view and self.active):
            return
        primary = message.view % self.n
        if message.signed_by != primary or primary == self.id:
            return
        if not self.is_valid_new_view(message):
            self.report("bad-new-view", self.low, f"view {message.view} from replica {sender}")
            return
        self.enter_view(message, self.select(message.view_changes))

    def is_valid_new_view(self, message: NewView) -> bool:
        """§4.4: V is a quorum of valid VIEW-CHANGEs for the view, and O is what V implies."""
        votes = message.view_changes
        if not all(m.view == message.view and self.is_valid_view_change(m) for m in votes):
            return False
        if self.signers(m.signed_by for m in votes) < self._quorum_size:
            return False
        primary = message.view % self.n
        if not all(
            a.signature.replica == primary
            and a.signature.signs(pre_prepare_statement(message.view, a.seq, a.digest))
            for a in message.assignments
        ):
            return False
        return tuple((a.seq, a.digest) for a in message.assignments) == self.select(votes).digests

    # ---- the new view ---------------------------------------------------------------------------

    def enter_view(self, message: NewView, selection: Selection) -> None:
        """§4.4: adopt the checkpoint of V, then run the protocol for every element of O."""
        self._harvest()
        self._keep_bodies_of(message)
        self.view = message.view
        self.new_view_message = message
        self.cancel_timer(VIEW_TIMER)
        self.unwatch()
        self.log = {}
        self.missing = {}
        self.assigned = set()
        self.report("new-view", selection.low, f"{len(message.assignments)} assigned")
        # Before the view is active: a primary that has executed as far as the checkpoint would go
        # on from there with proposals, and number them before it knows what O takes.
        if selection.low > self.low:
            self.fetch_now(selection.stable)
        self.active = True
        self.next_seq = max(selection.low, self.low) + 1
        self.view_floor = selection.low + len(message.assignments)
        for assignment in message.assignments:
            self.next_seq = max(self.next_seq, assignment.seq + 1)
            if assignment.seq > self.low:
                self._assign(assignment)
        if self.missing:
            for digest in self.missing:
                self.broadcast(FetchBatch(digest))
        self.after_new_view()

    def _keep_bodies_of(self, message: NewView) -> None:
        """Forget batches that no proof, decision or assignment names: views may come and go."""
        named = {proof.digest for proof in self.proofs.values()}
        named.update(assignment.digest for assignment in message.assignments)
        named.update(batch.digest for batch, _ in self.certificates.values())
        self.bodies = {digest: kept for digest, kept in self.bodies.items() if digest in named}

    def _assign(self, assignment: Assignment) -> None:
        batch = self.body(assignment.digest)
        if batch is None:
            self.missing.setdefault(assignment.digest, []).append(assignment)
            self.arm_retry()
            return
        seq = assignment.seq
        message = PrePrepare(self.view, seq, assignment.digest, batch, assignment.signature)
        entry: Instance = self.instance(seq)
        if entry.pre_prepare is not None:
            return
        if self.leader == self.id:
            entry.pre_prepare = message
            self.keep_body(seq, batch)
            self.assigned |= batch.keys
            self.check_prepared(seq, entry)
        else:
            self.accept(message, entry)

    def body(self, digest: Digest) -> Batch | None:
        """The batch behind a digest, if this replica has it."""
        if digest == NULL_BATCH.digest:
            return NULL_BATCH
        known = self.bodies.get(digest)
        return None if known is None else known[1]

    def after_new_view(self) -> None:
        """Requests that the old view left undone go to the new primary."""
        self.batcher.clear()
        if self.leader == self.id:
            for key, request in self.waiting.items():
                if key not in self.assigned:
                    self.batcher.add(request, self.now_us)
        else:
            self.resend_own()
        self.watch()
        self.execute_ready()

    def on_fetch_batch(self, sender: NodeId, message: FetchBatch) -> None:
        """Another replica lacks a batch of O."""
        batch = self.body(message.digest)
        if batch is not None and sender != self.id:
            self.send(sender, BatchBody(batch))

    def on_batch_body(self, message: BatchBody) -> None:
        """A batch of O arrives; its digest says which."""
        if not self.missing or not is_well_formed(message.batch):
            return
        assignments = self.missing.pop(message.batch.digest, [])
        for assignment in assignments:
            if assignment.seq > self.low:
                self.keep_body(assignment.seq, message.batch)
                self._assign(assignment)

    def ask_for_missing(self) -> None:
        """Repeat the question for batches of O that nobody has sent yet."""
        for digest in self.missing:
            self.broadcast(FetchBatch(digest))
