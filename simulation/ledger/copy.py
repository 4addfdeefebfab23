"""One node's own copy of the ledger.

A replica *executes* what consensus has ordered, signs the header that comes out, and collects the
other replicas' signatures until a quorum certifies the block. A follower is handed certified
blocks, believes nothing but the certificate, executes the block itself and compares the roots. Both
end with the same chain, and both answer questions from their own state only.

Source: the project's protocol, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from simulation.base.digest import Digest
from simulation.base.encoding import Value
from simulation.base.ids import NodeId, ReplicaId
from simulation.base.keys import SigningKey
from simulation.base.sparse_merkle import MapProof
from simulation.ledger.block import (
    HEADER_FIELDS,
    HEADER_VERSION,
    Attestation,
    Block,
    Certificate,
    Header,
    Outcome,
    attest,
    genesis_header,
)
from simulation.ledger.chain import BlockStore
from simulation.ledger.genesis import Genesis
from simulation.ledger.proof import CertifiedHeader, Handover, StateProof
from simulation.ledger.runtime import Contract, Execution, Runtime
from simulation.ledger.voters import VOTERS_KEY, Epoch, Voters, epoch_of

MAX_AHEAD = 1024
"""Attestations and blocks further than this above the tip are not kept: memory is bounded."""


class LedgerFault(Exception):
    """A block or a file disagrees with what this copy computes; names height and field."""

    def __init__(self, node: str, height: int, field: str, message: str) -> None:
        super().__init__(f"{node}, height {height}, {field}: {message}")
        self.node = node
        self.height = height
        self.field = field
        self.message = message


class LedgerCopy:
    """The chain, its state, and the certificates, as one node holds them.

    ``runtime`` may be shared by the copies of a process; see `Runtime`. A store that already holds
    blocks is executed again from the genesis.

    Raises:
        LedgerFault: when a stored block does not follow from the blocks before it.
        StoreError: when the store belongs to another chain or node, or is damaged.
    """

    def __init__(
        self,
        genesis: Genesis,
        contracts: Mapping[str, Contract],
        store: BlockStore,
        node: NodeId,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        self.genesis = genesis
        self.node = node
        self.name = genesis.name_of(node)
        self.store = store
        self._runtime = runtime or Runtime(contracts)
        self._state = self._runtime.initial_state(genesis)
        self.tip: Header = genesis_header(genesis, self._state.root)
        self._epochs: list[Epoch] = [genesis.epoch]
        self._proofs: list[MapProof] = []
        """That the state after the last block of epoch i names the voters of epoch i + 1."""
        self._outcomes: dict[Digest, tuple[int, Outcome]] = {}
        self._votes: dict[int, dict[ReplicaId, Attestation]] = {}
        """Genuine signatures of uncertified headers, by height."""
        self._unjudged: dict[int, dict[ReplicaId, Attestation]] = {}
        """Signatures of headers whose voters were not known yet when they came."""
        self._certified: set[int] = set()
        self._ahead: dict[int, tuple[Block, Certificate]] = {}
        store.begin(genesis.encoded, self.name)
        for height in range(1, store.height + 1):
            self._replay(store.block(height), height)
            if store.certificate(height) is not None:
                self._certified.add(height)

    # ---- reads ----------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """Of the last block; 0 at the genesis."""
        return self.tip.height

    @property
    def root(self) -> Digest:
        """Of the current state."""
        return self._state.root

    def get(self, key: str) -> Value | None:
        """The current value at a state key, or None."""
        return self._state.get(key)

    def items(self) -> Iterator[tuple[str, Value]]:
        """All entries of the current state, sorted by key."""
        return self._state.items()

    def outcome(self, tx_id: Digest) -> tuple[int, Outcome] | None:
        """Height and outcome of a transaction, or None while it is in no block.

        A transaction that was ordered more than once keeps its first outcome.
        """
        return self._outcomes.get(tx_id)

    def block(self, height: int) -> Block:
        """The block at ``height``, from 1.

        Raises:
            StoreError: when there is none.
        """
        return self.store.block(height)

    def certificate(self, height: int) -> Certificate | None:
        """The certificate of the block at ``height``, once there is one."""
        return self.store.certificate(height)

    def is_certified(self, height: int) -> bool:
        """Whether the block at ``height`` has a certificate; asked often, so no store is read."""
        return height in self._certified

    # ---- who certifies --------------------------------------------------------------------------

    @property
    def epoch(self) -> Epoch:
        """The epoch of the next block."""
        return self._epochs[-1]

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """All epochs so far, the next block's included."""
        return tuple(self._epochs)

    def voters_at(self, height: int) -> Voters:
        """Who certifies the block at ``height``, as far as this copy knows by now."""
        past = (epoch for epoch in reversed(self._epochs) if epoch.since <= height)
        return next(past, self._epochs[0]).voters

    def certified(self, height: int) -> CertifiedHeader | None:
        """The header at ``height`` with all that a stranger needs to believe it.

        None while it, or the last block of an earlier epoch, has no certificate.
        """
        handovers: list[Handover] = []
        for epoch, proof in zip(self._epochs[1:], self._proofs, strict=True):
            if epoch.since <= height:
                certificate = self.certificate(epoch.since - 1)
                if certificate is None:
                    return None
                header = self.block(epoch.since - 1).header
                handovers.append(Handover(header, certificate, epoch, proof))
        certificate = self.certificate(height)
        if certificate is None:
            return None
        header = self.block(height).header
        return CertifiedHeader(self.genesis.voters, tuple(handovers), header, certificate)

    def prove(self, key: str) -> StateProof | None:
        """What the state holds at ``key`` now, or that it holds nothing, provable to a stranger.

        None while the last block has no certificate.
        """
        found = self.certified(self.tip.height)
        return found and StateProof(found, key, self._state.get(key), self._state.prove(key))

    # ---- a replica's way ------------------------------------------------------------------------

    def execute(
        self, transactions: Sequence[bytes], *, view: int, proposer: int, time_us: int
    ) -> Block | None:
        """Execute an ordered batch and append its block; None for an empty batch.

        Never fails on what is in the batch: bad bytes get a rejected outcome.
        """
        if not transactions:
            return None
        time_us = max(self.tip.time_us + 1, time_us)
        execution = self._run(transactions, time_us)
        block = self._block(execution, view, proposer, time_us)
        self._append(block, execution)
        return block

    def attest(self, key: SigningKey) -> Attestation:
        """This replica's signature of the tip.

        It is not counted yet: hand it to `add_attestation` like anybody else's.
        """
        return attest(self.tip, self.node, key)

    def add_attestation(self, attestation: Attestation) -> Certificate | None:
        """Count one replica's signature; return the certificate at the moment it is complete.

        The certificate is returned once and kept. Signatures that are not genuine, or for another
        block than this copy's, never count; those that arrive before the block wait for it. The
        voters of a block further ahead than the next are not known yet: its signatures are judged
        when it is there, so the caller must not hand over one in somebody else's name.
        """
        height, tip = attestation.height, self.tip.height
        if not 0 < height <= tip + MAX_AHEAD or height in self._certified:
            return None
        if height > tip + 1:
            self._unjudged.setdefault(height, {}).setdefault(attestation.signer, attestation)
            return None
        voters = self.voters_at(height)
        votes = self._judged(height, voters)
        if not attestation.is_genuine(voters):
            return None
        votes.setdefault(attestation.signer, attestation)
        # Too few signatures of any header are too few of the right one.
        if height > tip or len(votes) < voters.quorum:
            return None
        header = self.tip if height == tip else self.store.block(height).header
        wanted = (header.view, header.digest)
        matching = [vote for vote in votes.values() if (vote.view, vote.digest) == wanted]
        if len(matching) < voters.quorum:
            return None
        certificate = Certificate.of(matching, voters)
        self._certify(height, certificate)
        return certificate

    def _judged(self, height: int, voters: Voters) -> dict[ReplicaId, Attestation]:
        """The genuine signatures of a header so far, now that its voters are known."""
        votes = self._votes.setdefault(height, {})
        early = self._unjudged.pop(height, {})
        votes.update({who: vote for who, vote in early.items() if vote.is_genuine(voters)})
        return votes

    def add_certificate(self, height: int, certificate: Certificate) -> bool:
        """Take the certificate of an own block from somebody else; False when it has one already.

        Raises:
            LedgerFault: when it does not certify this copy's block.
        """
        if height in self._certified or not 0 < height <= self.tip.height:
            return False
        problem = certificate.fault(self.store.block(height).header, self.voters_at(height))
        if problem is not None:
            raise self._fault(height, "certificate", problem)
        self._certify(height, certificate)
        return True

    def uncertified(self, limit: int) -> tuple[int, ...]:
        """The lowest heights without a certificate, so many at most."""
        heights = range(1, self.tip.height + 1)
        return tuple(islice((h for h in heights if h not in self._certified), limit))

    # ---- a follower's way -----------------------------------------------------------------------

    def follow(self, block: Block, certificate: Certificate) -> bool:
        """Take a certified block from somebody else; True when the chain has grown by it.

        A block that is already known changes nothing; one that is ahead of the tip waits until the
        gap is filled (then the call that fills it appends both).

        Raises:
            LedgerFault: when the certificate does not certify the header, or when executing the
                block gives something else than the header says; the copy is left as it was.
        """
        header = block.header
        if header.chain != self.genesis.chain_id:
            raise self._fault(header.height, "chain", "a block of another chain")
        problem = certificate.fault(header, self.voters_at(header.height))
        if problem is not None:
            raise self._fault(header.height, "certificate", problem)
        if header.height <= self.tip.height:
            if header.height == 0 or self.store.block(header.height).header != header:
                raise self._fault(header.height, "header", "certified, but not this copy's block")
            return False
        if header.height > self.tip.height + 1:
            if header.height <= self.tip.height + MAX_AHEAD:
                self._ahead.setdefault(header.height, (block, certificate))
            return False
        self._append_certified(block, certificate)
        while (waiting := self._ahead.pop(self.tip.height + 1, None)) is not None:
            # Whoever certified it may have stopped being a voter in between.
            if waiting[1].fault(waiting[0].header, self.epoch.voters) is None:
                self._append_certified(*waiting)
        return True

    def _append_certified(self, block: Block, certificate: Certificate) -> None:
        execution = self._checked(block, self.tip.height + 1)
        self._append(block, execution)
        self._certify(block.header.height, certificate)

    # ---- shared ---------------------------------------------------------------------------------

    def _certify(self, height: int, certificate: Certificate) -> None:
        self.store.certify(height, certificate)
        self._certified.add(height)
        self._votes.pop(height, None)
        self._unjudged.pop(height, None)

    def _run(self, transactions: Sequence[bytes], time_us: int) -> Execution:
        return self._runtime.execute(
            self._state,
            transactions,
            chain=self.genesis.chain_id,
            height=self.tip.height + 1,
            time_us=time_us,
        )

    def _block(self, execution: Execution, view: int, proposer: int, time_us: int) -> Block:
        header = Header(
            version=HEADER_VERSION,
            chain=self.genesis.chain_id,
            height=self.tip.height + 1,
            view=view,
            parent=self.tip.digest,
            transaction_root=execution.transaction_root,
            state_root=execution.staged.root,
            receipts_root=execution.receipts_root,
            proposer=proposer,
            time_us=time_us,
        )
        return self._runtime.block(header, execution)

    def _checked(self, block: Block, height: int) -> Execution:
        """Execute somebody's block and compare everything that can be recomputed."""
        header = block.header
        if header.time_us <= self.tip.time_us:
            raise self._fault(height, "time_us", f"{header.time_us} is not after the parent's")
        if not block.transactions:
            raise self._fault(height, "transactions", "a block without transactions")
        execution = self._run(block.transactions, header.time_us)
        mine = self._block(execution, header.view, header.proposer, header.time_us)
        for name in HEADER_FIELDS:
            if getattr(header, name) != getattr(mine.header, name):
                raise self._fault(height, name, "executing the block gives another value")
        if block.outcomes != mine.outcomes:
            raise self._fault(height, "outcomes", "executing the block gives other outcomes")
        return execution

    def _append(self, block: Block, execution: Execution) -> None:
        self.store.append(block)
        self._advance(block, execution)

    def _replay(self, block: Block, height: int) -> None:
        self._advance(block, self._checked(block, height))

    def _advance(self, block: Block, execution: Execution) -> None:
        self._state.commit(execution.staged)
        self.tip = block.header
        if VOTERS_KEY in execution.staged.entries:
            self._epochs.append(epoch_of(self.genesis.chain_id, self._state.get(VOTERS_KEY)))
            self._proofs.append(self._state.prove(VOTERS_KEY))
        for tx_id, outcome in zip(execution.ids, execution.outcomes, strict=True):
            self._outcomes.setdefault(tx_id, (block.header.height, outcome))

    def _fault(self, height: int, field: str, message: str) -> LedgerFault:
        return LedgerFault(self.name, height, field, message)
