"""Proofs for somebody who keeps nothing of a chain but its membership root, 32 bytes.

A *certified header* is a block's header under the signatures of a quorum, with the founders' keys
and, where voters have changed since, one *handover* for each change: the last block that the old
voters certified, and the proof that the state after it names the new ones. So a verifier follows
the keys along the chain, without the chain.

A *state proof* adds what the state after the block holds at one key, or that nothing is there.

What stays an assumption: of the voters of each epoch, no more than can be faulty ever hand out
their keys, not even after they have left. Source: the project's protocol, sections 3 (close) and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.encoding import EncodingError, Value, decode, encode
from simulation.base.sparse_merkle import MapProof, is_proven
from simulation.ledger.block import Certificate, Header
from simulation.ledger.state import leaf_of, path_of
from simulation.ledger.value import freeze
from simulation.ledger.voters import VOTERS_KEY, Epoch, Voters, epoch_of, voters_of

PROOF_VERSION = 2
STATE = "state"
NOT_CANONICAL = "not canonical: a number is written as a truth value"


class ProofError(ValueError):
    """The bytes are no proof, or prove nothing under the given membership root."""


@dataclass(frozen=True)
class Handover:
    """The last block of an epoch, and why the voters after it are who they are."""

    header: Header
    certificate: Certificate
    epoch: Epoch
    """The next one."""
    proof: MapProof
    """That the state after the block holds it at `VOTERS_KEY`."""

    @property
    def row(self) -> Value:
        """As a value."""
        return [
            self.header.encoded, self.certificate.encoded, self.epoch.value, proof_row(self.proof),
        ]  # fmt: skip


@dataclass(frozen=True)
class CertifiedHeader:
    """A header, its certificate, and how those who signed it came to be the voters."""

    founders: Voters
    handovers: tuple[Handover, ...]
    header: Header
    certificate: Certificate

    @property
    def voters(self) -> Voters:
        """Who certifies the header."""
        return self.handovers[-1].epoch.voters if self.handovers else self.founders

    @property
    def row(self) -> Value:
        """As a value; `certified_of` reads it."""
        return [
            self.founders.row,
            [handover.row for handover in self.handovers],
            self.header.encoded,
            self.certificate.encoded,
        ]

    def fault(self) -> str | None:
        """Why this proves nothing about its own founders, or None when it does."""
        epoch = Epoch(0, 1, self.founders)
        for handover in self.handovers:
            problem = _certifies(handover.certificate, handover.header, epoch)
            if problem is not None:
                return f"handover to epoch {handover.epoch.number}: {problem}"
            after = handover.epoch
            if (after.number, after.since) != (epoch.number + 1, handover.header.height + 1):
                return f"the handover to epoch {after.number} does not follow the one before"
            root, leaf = handover.header.state_root, leaf_of(VOTERS_KEY, after.value)
            if not is_proven(root, path_of(VOTERS_KEY), leaf, handover.proof):
                return f"the state does not name the voters of epoch {after.number}"
            epoch = after
        return _certifies(self.certificate, self.header, epoch)


@dataclass(frozen=True)
class StateProof:
    """What the state after a block holds at one key."""

    certified: CertifiedHeader
    key: str
    value: Value
    """None: nothing is there."""
    proof: MapProof

    @property
    def header(self) -> Header:
        """Of the block after which the state is proved."""
        return self.certified.header

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return encode(
            [PROOF_VERSION, STATE, self.certified.row, self.key, self.value, proof_row(self.proof)]
        )

    @classmethod
    def decode(cls, data: bytes) -> StateProof:
        """The proof whose canonical bytes are ``data``; nothing is verified here.

        Raises:
            EncodingError: for anything else.
        """
        match decode(data):
            case [2, "state", certified, str(key), value, proof]:
                found = cls(certified_of(certified), key, freeze(value), proof_of(proof))
            case _:
                raise EncodingError("not a state proof of version 2")
        if found.encoded != data:
            raise EncodingError(NOT_CANONICAL)
        return found

    def fault(self) -> str | None:
        """Why this proves nothing about its own founders, or None when it does."""
        problem = self.certified.fault()
        if problem is not None:
            return problem
        leaf = None if self.value is None else leaf_of(self.key, self.value)
        if not is_proven(self.header.state_root, path_of(self.key), leaf, self.proof):
            return "the state does not hold this at the key"
        return None


def verify_state_proof(data: bytes, membership_root: Digest) -> StateProof:
    """The state proof in these bytes, every claim of it verified.

    ``membership_root`` is `Voters.root` of the founders, which the verifier has known all along.

    Raises:
        ProofError: when the bytes are no state proof, the founders are not those of the membership
            root, or header, certificate, handovers and proof do not fit.
    """
    try:
        found = StateProof.decode(data)
    except EncodingError as error:
        raise ProofError(str(error)) from error
    require_sound(found.certified, found.fault(), membership_root)
    return found


# ---- for receipts too ---------------------------------------------------------------------------


def require_sound(certified: CertifiedHeader, problem: str | None, membership_root: Digest) -> None:
    """Check that a proof stands on the founders that the verifier knows.

    Raises:
        ProofError: when it does not, or has the problem.
    """
    if certified.founders.root != membership_root:
        raise ProofError("the founders are not those of the membership root")
    if problem is not None:
        raise ProofError(problem)


def certified_of(row: Value) -> CertifiedHeader:
    """The certified header that a row describes.

    Raises:
        EncodingError: when it describes none.
    """
    match row:
        case [founders, [*handovers], bytes(header), bytes(certificate)]:
            known = voters_of(founders)
            return CertifiedHeader(
                known,
                tuple(_handover(known.chain, handover) for handover in handovers),
                Header.decode(header),
                Certificate.decode(certificate),
            )
        case _:
            raise EncodingError("a certified header is [founders, handovers, header, certificate]")


def proof_row(proof: MapProof) -> Value:
    """A path through the state's map as a value; `proof_of` reads it."""
    return [proof.siblings, proof.end]


def proof_of(row: Value) -> MapProof:
    """The path that a row describes.

    Raises:
        EncodingError: when it describes none.
    """
    match row:
        case [[*siblings], None]:
            return MapProof(digests(siblings), None)
        case [[*siblings], [bytes(path), bytes(value)]]:
            return MapProof(digests(siblings), (path, value))
        case _:
            raise EncodingError("a path is [siblings, null or [path, value]]")


def digests(items: Sequence[Value]) -> tuple[bytes, ...]:
    """Byte strings of 32.

    Raises:
        EncodingError: when one is not.
    """
    found = tuple(item for item in items if isinstance(item, bytes))
    if len(found) != len(items) or any(len(item) != DIGEST_BYTES for item in found):
        raise EncodingError(f"digests are byte strings of {DIGEST_BYTES}")
    return found


def _handover(chain: Digest, row: Value) -> Handover:
    match row:
        case [bytes(header), bytes(certificate), epoch, proof]:
            return Handover(
                Header.decode(header),
                Certificate.decode(certificate),
                epoch_of(chain, epoch),
                proof_of(proof),
            )
        case _:
            raise EncodingError("a handover is [header, certificate, epoch, path]")


def _certifies(certificate: Certificate, header: Header, epoch: Epoch) -> str | None:
    """Why the certificate does not certify the header in this epoch, if it does not."""
    if header.chain != epoch.voters.chain:
        return "the header is of another chain"
    if header.height < epoch.since:
        return f"the header at height {header.height} is older than its voters"
    return certificate.fault(header, epoch.voters)
