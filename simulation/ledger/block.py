"""Blocks, and the signatures that certify them.

A header commits to everything a block says and does: its transactions, the state after it, and the
outcome of each transaction. A replica that has executed the block signs its header; the signatures
of a quorum are the block's certificate, under whatever consensus protocol the order came from.

Source: the project's protocol, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.encoding import EncodingError, Value, decode, encode
from simulation.base.ids import ReplicaId, hospital_name
from simulation.base.keys import SIGNATURE_BYTES, SigningKey
from simulation.base.merkle import EMPTY_ROOT, merkle_root
from simulation.ledger.genesis import Genesis
from simulation.ledger.signatures import is_vote, sign_vote
from simulation.ledger.value import is_natural
from simulation.ledger.voters import Voters

HEADER_VERSION = 1
NO_PARENT: Digest = bytes(DIGEST_BYTES)


@dataclass(frozen=True)
class Header:
    """A block in ten fields."""

    version: int
    chain: Digest
    height: int
    view: int
    """The consensus view in which the block's batch was decided."""
    parent: Digest
    """Digest of the header before; 32 zero bytes at height 0."""
    transaction_root: Digest
    """RFC 6962 root over the transactions' bytes, in order."""
    state_root: Digest
    """Root of the state after the block."""
    receipts_root: Digest
    """RFC 6962 root over the receipts, in order."""
    proposer: ReplicaId
    time_us: int
    """Strictly increasing virtual time, in microseconds."""

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return encode([getattr(self, name) for name in HEADER_FIELDS])

    @cached_property
    def digest(self) -> Digest:
        """``TH(header, encoded)``."""
        return tagged_hash(Tag.HEADER, self.encoded)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """The header whose canonical bytes are ``data``.

        Raises:
            EncodingError: for anything else.
        """
        row = decode(data)
        if not isinstance(row, list) or len(row) != len(HEADER_FIELDS):
            raise EncodingError(f"a header has {len(HEADER_FIELDS)} fields")
        for name, value in zip(HEADER_FIELDS, row, strict=True):
            if name in _DIGEST_FIELDS:
                good = isinstance(value, bytes) and len(value) == DIGEST_BYTES
            else:
                good = is_natural(value)
            if not good:
                raise EncodingError(f"header: field {name} has the wrong type")
        return cls(
            *cast("tuple[int, bytes, int, int, bytes, bytes, bytes, bytes, int, int]", tuple(row))
        )


HEADER_FIELDS = (
    "version", "chain", "height", "view", "parent",
    "transaction_root", "state_root", "receipts_root", "proposer", "time_us",
)  # fmt: skip
"""The fields of a header in the order of their encoding."""
_DIGEST_FIELDS = frozenset(
    ("chain", "parent", "transaction_root", "state_root", "receipts_root"),
)


def header_digest(header: Header) -> Digest:
    """``TH(header, canonical bytes)``."""
    return header.digest


@dataclass(frozen=True)
class Outcome:
    """What became of one transaction."""

    accepted: bool
    code: str
    """``ok``, or a short fixed word that says why it was rejected."""


OK = Outcome(True, "ok")


def receipt_bytes(tx_id: Digest, outcome: Outcome) -> bytes:
    """The receipts tree's leaf for one transaction."""
    return encode([tx_id, outcome.accepted, outcome.code])


def receipts_root(ids: Sequence[Digest], outcomes: Sequence[Outcome]) -> Digest:
    """RFC 6962 root over the receipts of a block, given its transactions' ids in order."""
    pairs = zip(ids, outcomes, strict=True)
    return merkle_root([receipt_bytes(tx_id, outcome) for tx_id, outcome in pairs])


@dataclass(frozen=True)
class Block:
    """A header, the ordered bytes that it executed, and what became of each."""

    header: Header
    transactions: tuple[bytes, ...]
    outcomes: tuple[Outcome, ...]

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes: header, transactions, outcomes."""
        outcomes: list[Value] = [[outcome.accepted, outcome.code] for outcome in self.outcomes]
        return encode([self.header.encoded, self.transactions, outcomes])

    @cached_property
    def size_bytes(self) -> int:
        """Size on the wire."""
        return len(self.encoded)

    @classmethod
    def decode(cls, data: bytes) -> Block:
        """The block whose canonical bytes are ``data``; roots are not checked here.

        Raises:
            EncodingError: for anything else.
        """
        match decode(data):
            case [bytes(header), [*transactions], [*outcomes]]:
                payloads = tuple(item for item in transactions if isinstance(item, bytes))
                results = tuple(_outcome(row) for row in outcomes)
            case _:
                raise EncodingError("a block is [header, transactions, outcomes]")
        if not len(payloads) == len(transactions) == len(results):
            raise EncodingError("a block has one outcome for each transaction")
        return cls(Header.decode(header), payloads, results)


def _outcome(row: Value) -> Outcome:
    match row:
        case [bool(accepted), str(code)]:
            return Outcome(accepted, code)
        case _:
            raise EncodingError("an outcome is [accepted, code]")


def genesis_header(genesis: Genesis, state_root: Digest) -> Header:
    """The header at height 0: no transactions, no proposer, the installed state."""
    return Header(
        version=HEADER_VERSION,
        chain=genesis.chain_id,
        height=0,
        view=0,
        parent=NO_PARENT,
        transaction_root=EMPTY_ROOT,
        state_root=state_root,
        receipts_root=EMPTY_ROOT,
        proposer=0,
        time_us=0,
    )


# ---- certificates -------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def vote_digest(chain: Digest, view: int, height: int, digest: Digest) -> Digest:
    """What a replica signs: ``TH(vote, cbor([chain, view, height, header digest]))``."""
    return tagged_hash(Tag.VOTE, encode([chain, view, height, digest]))


@dataclass(frozen=True)
class Attestation:
    """One replica's signature of the block that it has executed."""

    chain: Digest
    view: int
    height: int
    digest: Digest
    """Of the header."""
    signer: ReplicaId
    signature: bytes

    @property
    def size_bytes(self) -> int:
        """Size on the wire: two digests, three integers, the signature."""
        return 2 * DIGEST_BYTES + 3 * 8 + SIGNATURE_BYTES

    def is_genuine(self, voters: Voters) -> bool:
        """Whether one of the chain's replicas really signed this."""
        key = voters.keys.get(self.signer)
        if key is None or self.chain != voters.chain:
            return False
        message = vote_digest(self.chain, self.view, self.height, self.digest)
        return is_vote(key, message, self.signature)


def attest(header: Header, signer: ReplicaId, key: SigningKey) -> Attestation:
    """Sign a header as replica ``signer``."""
    message = vote_digest(header.chain, header.view, header.height, header.digest)
    return Attestation(
        header.chain, header.view, header.height, header.digest, signer, sign_vote(key, message)
    )


@dataclass(frozen=True)
class Certificate:
    """The signatures of a quorum over one header."""

    signers: bytes
    """Bitmap: bit i of byte ⌊i/8⌋ (lowest first) says that replica i signed."""
    signatures: tuple[bytes, ...]
    """In the order of the signers' numbers."""

    @classmethod
    def of(cls, attestations: Sequence[Attestation], voters: Voters) -> Certificate:
        """Collect attestations of one header by distinct voters."""
        ordered = sorted(attestations, key=lambda attestation: attestation.signer)
        bits = sum(1 << attestation.signer for attestation in ordered)
        bitmap = bits.to_bytes(voters.bitmap_bytes, "little")
        return cls(bitmap, tuple(attestation.signature for attestation in ordered))

    @property
    def replicas(self) -> list[ReplicaId]:
        """Who signed, in order."""
        bits = int.from_bytes(self.signers, "little")
        return [i for i in range(bits.bit_length()) if bits >> i & 1]

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return encode([self.signers, self.signatures])

    @cached_property
    def size_bytes(self) -> int:
        """Size on the wire."""
        return len(self.encoded)

    def fault(self, header: Header, voters: Voters) -> str | None:
        """Why this does not certify the header, or None when it does."""
        signers, keys = self.replicas, voters.keys
        if len(self.signers) != voters.bitmap_bytes or any(i not in keys for i in signers):
            return "the bitmap names a signer that is no replica"
        if len(self.signatures) != len(signers):
            return f"{len(self.signatures)} signatures for {len(signers)} signers"
        if len(signers) < voters.quorum:
            return f"{len(signers)} signers are fewer than the quorum of {voters.quorum}"
        message = vote_digest(voters.chain, header.view, header.height, header.digest)
        for signer, signature in zip(signers, self.signatures, strict=True):
            if not is_vote(keys[signer], message, signature):
                return f"{hospital_name(signer)} did not sign this header"
        return None

    @classmethod
    def decode(cls, data: bytes) -> Certificate:
        """The certificate whose canonical bytes are ``data``; signatures are not checked here.

        Raises:
            EncodingError: for anything else.
        """
        match decode(data):
            case [bytes(signers), [*rows]]:
                signatures = tuple(row for row in rows if isinstance(row, bytes))
                if len(signatures) == len(rows):
                    return cls(signers, signatures)
            case _:
                pass
        raise EncodingError("a certificate is [bitmap, signatures]")
