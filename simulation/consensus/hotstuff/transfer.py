"""Catching up: missing blocks by digest, and batches that left memory from a journal.

A certificate names its block by digest and every block names its parent, so fetched blocks need no
trust. Batches from a journal are checked against the history in a committed block (§4.2 leaves both
to the implementation).
"""

from __future__ import annotations

from simulation.base.digest import Digest
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.units import us_from_ms
from simulation.consensus.hotstuff.blocks import Block, QuorumCert, extend_history, signers_of
from simulation.consensus.hotstuff.chain import Chain
from simulation.consensus.hotstuff.core import FETCH_TIMER
from simulation.consensus.hotstuff.messages import (
    Blocks,
    CommitProof,
    FetchBlocks,
    FetchState,
    State,
)
from simulation.consensus.machine import MAX_DOUBLINGS
from simulation.consensus.protocol import Batch, Load, TimerKey, is_well_formed


class Transfer(Chain):
    """Layer 2: blocks and batches that this replica has missed."""

    goal: CommitProof | None = None
    """A committed block beyond this replica's, whose batches it is fetching."""
    _source: ReplicaId = -1
    """Whom it asks for them."""
    _fetched: tuple[Batch, ...] = ()
    """Batches from ``executed + 1`` on, all from the source, unchecked."""
    _seen_progress: tuple[int, int, int] = (0, 0, 0)
    _patience = 0
    """How often the timer found nothing new since the last goal was reached: it doubles."""
    _asked: ReplicaId = -1
    """Whom it has last asked for blocks."""

    # ---- blocks ---------------------------------------------------------------------------------

    def want(self, certificate: QuorumCert, source: ReplicaId, at_once: bool) -> None:
        """A certified block is missing: it may only be slower than its certificate, so wait."""
        if self.wanted is None or certificate.round > self.wanted.round:
            self.wanted = certificate
            if at_once and source != self.id:
                self._ask(source)
        if FETCH_TIMER not in self.timers:
            self._patience = 0
            self.set_timer(FETCH_TIMER, us_from_ms(self.params.retransmit_ms))

    def _ask(self, source: ReplicaId) -> None:
        assert self.wanted is not None
        self._asked = source
        self.send(source, FetchBlocks(self.wanted.digest, self.root.round))

    def on_fetch_timer(self) -> None:
        """Still missing: ask the next replica, in turn, that has signed for it."""
        if self.goal is None and self.wanted is None:
            return
        progress = (self.executed, self.root.round, len(self._fetched))
        if progress == self._seen_progress:
            # Should answers take longer than the timer, only doubling finds a value that works.
            self._patience = min(self._patience + 1, MAX_DOUBLINGS)
        if self.goal is None:
            assert self.wanted is not None
            self._ask(self._next_signer(self.wanted, self._asked))
        else:
            # The answer may only be late or lost: ask the same source again before giving it up.
            if progress == self._seen_progress and self._patience % 2 == 0:
                self._source = self._next_signer(self.goal.certificate, self._source)
                self._fetched = ()
            self._ask_state()
        self._seen_progress = (self.executed, self.root.round, len(self._fetched))
        self.set_timer(FETCH_TIMER, us_from_ms(self.params.retransmit_ms) << self._patience)

    def _next_signer(self, certificate: QuorumCert, last: ReplicaId) -> ReplicaId:
        signers = [s for s in signers_of(certificate) if s != self.id and 0 <= s < self.n]
        return next((s for s in signers if s > last), signers[0])

    def on_fetch_blocks(self, sender: ReplicaId, message: FetchBlocks) -> None:
        """Send the chain that another replica lacks, or proof that it is too far behind for it."""
        chain: list[Block] = []
        block = self.block(message.digest)
        while block is not None and block.round > message.above:
            chain.append(block)
            block = self.block(block.justify.digest)
        if chain and block is not None:
            self.send(sender, Blocks(tuple(reversed(chain))))
        elif self.proof is not None and self.root.round > message.above:
            self.send(sender, self.proof)

    def on_blocks(self, message: Blocks) -> None:
        """Fetched blocks: take them if they lead, digest by digest, to the certified one."""
        if self.wanted is None or not message.blocks:
            return
        digest = self.wanted.digest
        for block in reversed(message.blocks):
            if not block.sound or block.digest != digest or not self.proves(block.justify):
                return
            digest = block.justify.digest
        for block in message.blocks:
            if block.round > self.root.round and not self.insert(block):
                return

    # ---- batches --------------------------------------------------------------------------------

    def on_commit_proof(self, sender: ReplicaId, message: CommitProof) -> None:
        """A committed block far ahead: fetch the batches up to it."""
        if self.goal is not None or not self.is_commit_proof(message):
            return
        first = message.blocks[0]
        if first.round <= self.root.round:
            return
        self.goal, self._source, self._fetched = message, sender, ()
        if FETCH_TIMER not in self.timers:
            self._patience = 0
            self.set_timer(FETCH_TIMER, us_from_ms(self.params.retransmit_ms))
        self._ask_state()

    def is_commit_proof(self, message: CommitProof) -> bool:
        """Whether the three-chain rule (§5) makes the first of the blocks final."""
        blocks = message.blocks
        if len(blocks) != 3 or not all(block.sound for block in blocks):
            return False
        first, middle, last = blocks
        certificates = (first.justify, middle.justify, last.justify, message.certificate)
        return (
            all(self.proves(certificate) for certificate in certificates)
            and middle.follows(first)
            and last.follows(middle)
            and certificates[1].digest == first.digest
            and certificates[2].digest == middle.digest
            and (certificates[3].round, certificates[3].digest) == (last.round, last.digest)
        )

    def _ask_state(self) -> None:
        """Ask the source for the next batches; with none missing, the goal is reached."""
        assert self.goal is not None
        last = self.goal.blocks[0].seq
        if self.executed >= last:
            self._reach()
        else:
            first = self.executed + 1 + len(self._fetched)
            self.send(self._source, FetchState(first, last))

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
        """Batches from the source: execute them if they lead to the committed history."""
        expected = self.executed + 1 + len(self._fetched)
        if self.goal is None or sender != self._source or message.first != expected:
            return
        missing = max(0, self.goal.blocks[0].seq - expected + 1)
        batches = message.batches[:missing]
        if not batches or not all(is_well_formed(batch) for batch in batches):
            return
        self._fetched += batches
        if len(batches) < missing:
            self._ask_state()
            return
        if not self.leads_to(self._fetched, self.goal.blocks[0].history):
            self.report("bad-transfer", f"from replica {sender}")
            self._fetched = ()
            return
        for batch in self._fetched:
            self.deliver(batch)
        self._reach()

    def leads_to(self, batches: tuple[Batch, ...], history: Digest) -> bool:
        """Whether these batches, executed next, end in a committed block's history."""
        reached = self.decided_history
        for batch in batches:
            reached = extend_history(reached, batch)
        return reached == history

    def on_progress(self) -> None:
        """What was fetched may have been decided meanwhile, or more than that."""
        self._fetched = ()
        if self.goal is not None and self.goal.blocks[0].round <= self.root.round:
            self.goal, self._patience = None, 0

    def _reach(self) -> None:
        """The goal's batches are executed: go on from its committed block."""
        assert self.goal is not None
        goal = self.goal
        first, middle, last = goal.blocks
        self.report("state-transfer", f"round {first.round}")
        self.root, self.proof = first, goal
        self.kept = {first.digest: first}
        self.fresh.clear()
        self.tip = first
        self.prune()
        self.on_progress()
        self.insert(middle)
        self.insert(last)
        self.learn(goal.certificate, self.id)
        if self.wanted is not None:
            self._ask(self._source)
