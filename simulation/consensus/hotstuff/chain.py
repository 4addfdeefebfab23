"""The tree of blocks: certificates, the lock, the three-chain commit rule (§5, Algorithm 4)."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.base.ids import ReplicaId
from simulation.consensus.hotstuff.blocks import GENESIS, Block, QuorumCert, extend_history
from simulation.consensus.hotstuff.core import Core
from simulation.consensus.hotstuff.messages import CommitProof
from simulation.consensus.machine import CLIENT_TIMER
from simulation.consensus.protocol import NULL_BATCH, Batch, Decide, RequestKey


class Chain(Core):
    """Layer 1: what is certified, locked and committed."""

    # ---- hooks for the layers above -------------------------------------------------------------

    def want(self, certificate: QuorumCert, source: ReplicaId, at_once: bool) -> None:
        """A certified block is missing."""

    def enter_round(self, round_: int) -> None:
        """A certificate lets this replica into a later round."""

    def on_progress(self) -> None:
        """A later block is committed than before."""

    # ---- walking --------------------------------------------------------------------------------

    def proves(self, certificate: QuorumCert) -> bool:
        """Whether a quorum has signed it."""
        return certificate.proves(self.n, self.quorum.size)

    def uncommitted(self, tip: Block) -> Iterator[Block]:
        """The chain from a block back to the last committed one, that one left out."""
        block: Block | None = tip
        while block is not None and block.digest in self.fresh:
            yield block
            block = self.block(block.justify.digest)

    def keys_above_root(self, tip: Block) -> set[RequestKey]:
        """The requests in uncommitted blocks of a chain."""
        return {key for block in self.uncommitted(tip) for key in block.keys}

    def triple(self, certificate: QuorumCert) -> tuple[Block, Block, Block] | None:
        """§5: three certified blocks in successive rounds, the last one by this certificate."""
        last = self.block(certificate.digest)
        middle = last and self.block(last.justify.digest)
        first = middle and self.block(middle.justify.digest)
        if first is None or middle is None or last is None:
            return None
        return (first, middle, last) if middle.follows(first) and last.follows(middle) else None

    def is_unresolved(self, tip: Block) -> bool:
        """Whether a replica that has this chain still waits for one of its batches.

        A function of the chain alone, so that all who have it agree on whether to go on.
        """
        block: Block | None = tip
        open_batch = False
        while block is not None and block is not GENESIS:
            open_batch = open_batch or bool(block.batch.requests)
            # Who has this block knows that its justify commits the first of these three.
            found = self.triple(block.justify)
            if found is not None:
                return open_batch or any(after.batch.requests for after in found[1:])
            block = self.block(block.justify.digest)
        return open_batch

    def best(self) -> Block:
        """The block of the highest certificate."""
        return self.block(self.high.digest) or self.root

    # ---- growing --------------------------------------------------------------------------------

    def make_child(self, round_: int, batch: Batch) -> Block:
        """The block that extends the highest certificate in a round (createLeaf)."""
        parent = self.best()
        view = parent.view + (round_ != parent.round + 1)
        if not batch.requests:
            return Block(round_, view, parent.seq, parent.history, NULL_BATCH, self.high)
        batch = Batch(batch.requests, batch.time_us, view, self.leader_of(round_))
        history = extend_history(parent.history, batch)
        return Block(round_, view, parent.seq + 1, history, batch, self.high)

    def is_child(self, block: Block, parent: Block) -> bool:
        """Whether a block is what its parent, round and batch say."""
        batch = block.batch
        if block.view != parent.view + (block.round != parent.round + 1):
            return False
        if not batch.requests:
            same = (block.seq, block.history) == (parent.seq, parent.history)
            return same and batch == NULL_BATCH
        return (
            block.seq == parent.seq + 1
            and block.history == extend_history(parent.history, batch)
            and (batch.view, batch.proposer) == (block.view, self.leader_of(block.round))
        )

    def insert(self, block: Block) -> bool:
        """Add a block whose parent is here; False when it contradicts its parent."""
        if self.block(block.digest) is not None:
            return True
        parent = self.block(block.justify.digest)
        if parent is None or not self.is_child(block, parent):
            return False
        if parent.digest not in self.fresh and parent is not self.root:
            return False  # A fork from below the last committed block is dead.
        self.fresh[block.digest] = block
        if block.round > self.tip.round:
            self.tip = block
        self.learn(block.justify, self.id)
        if self.wanted is not None and self.block(self.wanted.digest) is not None:
            found, self.wanted = self.wanted, None
            self.learn(found, self.id)
        return True

    def learn(self, certificate: QuorumCert, source: ReplicaId, at_once: bool = False) -> None:
        """Algorithm 4, update: a valid certificate moves the lock, commits, and opens a round."""
        block = self.block(certificate.digest)
        if block is None:
            if certificate.round > self.high.round:
                self.want(certificate, source, at_once)
            return
        # qc_high and the lock on the two-chain.
        if certificate.round > self.high.round:
            self.high = certificate
            if self.wanted is not None and self.wanted.round <= certificate.round:
                self.wanted = None
        self.locked_round = max(self.locked_round, block.justify.round)
        # The three-chain: its first block is final.
        found = self.triple(certificate)
        if found is not None and found[0].round > self.root.round:
            self._commit(found, certificate)
        self.enter_round(certificate.round + 1)

    # ---- deciding -------------------------------------------------------------------------------

    def _commit(self, found: tuple[Block, Block, Block], certificate: QuorumCert) -> None:
        """Algorithm 4, onCommit: decide the chain up to the first block of the triple, in order."""
        chain = list(self.uncommitted(found[0]))
        if not chain or self.block(chain[-1].justify.digest) is not self.root:
            self.report("fork", f"round {found[0].round} does not extend {self.root.round}")
            return
        for block in reversed(chain):
            self.deliver(block.batch)
            self.kept[block.digest] = self.fresh.pop(block.digest)
        self.root = found[0]
        self.proof = CommitProof(found, certificate)
        self.prune()
        self.on_progress()

    def deliver(self, batch: Batch) -> None:
        """Emit the next decision; an empty block takes no number.

        No request in it was executed before: an honest replica is among those who certified it, and
        has looked (`Requests.is_valid`). So what is decided is what the history is made of.
        """
        if not batch.requests:
            return
        self.executed += 1
        self.decided_history = extend_history(self.decided_history, batch)
        keys = batch.keys
        for key in sorted(keys):
            self.done.mark(key)
            self.waiting.pop(key, None)
            self.own.pop(key, None)
        self.batcher.drop(keys)
        if not self.own:
            self.cancel_timer(CLIENT_TIMER)
        self.out.append(Decide(self.executed, batch.view, batch, batch.proposer))

    def prune(self) -> None:
        """Forget dead forks, and committed blocks beyond the window."""
        floor = self.root.round
        self.fresh = {d: block for d, block in self.fresh.items() if block.round > floor}
        if self.tip.round <= floor:
            self.tip = self.root
        for digest in list(self.kept)[: max(0, len(self.kept) - self.params.window)]:
            del self.kept[digest]
        self.seen = {r: p for r, p in self.seen.items() if r > floor}
        self.pending = {r: p for r, p in self.pending.items() if r > floor}
