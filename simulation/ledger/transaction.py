"""Signed transactions: the only way in which anybody changes the ledger.

The signed bytes name the chain, the sender, the sender's sequence number and an expiry height, so a
transaction cannot be replayed on another chain, a second time, or late.

Source: the project's protocol, sections 2 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

from simulation.base.digest import DIGEST_BYTES, Digest, Tag, tagged_hash
from simulation.base.encoding import EncodingError, Value, decode, encode
from simulation.base.ids import NodeId
from simulation.base.keys import SIGNATURE_BYTES, SigningKey
from simulation.base.merkle import leaf_hash
from simulation.ledger.signatures import is_signature
from simulation.ledger.value import freeze, is_natural

MAX_TRANSACTION_BYTES = 1 << 20
"""Longer byte strings are malformed: 1 MiB holds the openings of several thousand hospitals."""


@dataclass(frozen=True)
class Transaction:
    """What a member asks the ledger to do."""

    chain: Digest
    """Digest of the genesis of the chain that it is meant for."""
    sender: NodeId
    """The member that signs it."""
    seq: int
    """The sender's own count, from 1, without gaps."""
    expiry: int
    """The last height at which it may be executed."""
    kind: str
    """Contract and action, e.g. ``task.commit``."""
    body: Mapping[str, Value]
    """Arguments of the action."""

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes of the six fields, in order."""
        return encode(
            [self.chain, self.sender, self.seq, self.expiry, self.kind, self.body],
        )

    @cached_property
    def signing_digest(self) -> Digest:
        """What the sender signs: ``TH(tx, encoded)``."""
        return tagged_hash(Tag.TX, self.encoded)

    def sign(self, key: SigningKey) -> SignedTransaction:
        """The transaction with its sender's signature.

        Raises:
            EncodingError: when the body holds something that has no canonical form.
        """
        return SignedTransaction(self, key.sign(self.signing_digest))


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction and a signature that may or may not be its sender's; see `is_signed_by`."""

    transaction: Transaction
    signature: bytes

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes: what consensus orders and a block holds."""
        return encode([self.transaction.encoded, self.signature])

    @cached_property
    def id(self) -> Digest:
        """See `transaction_id`."""
        return transaction_id(self.encoded)

    def is_signed_by(self, key: bytes) -> bool:
        """Whether the signature is real under the encoded public key ``key``."""
        return is_signature(key, self.transaction.signing_digest, self.signature)

    @classmethod
    def decode(cls, data: bytes) -> SignedTransaction:
        """The signed transaction whose canonical bytes are ``data``.

        Raises:
            EncodingError: for anything else. The signature is not checked here.
        """
        return _decode(data)


def transaction_id(data: bytes) -> Digest:
    """The name of any byte string that was ordered: its leaf digest in the block's tree.

    The signature is inside, so nobody can produce another byte string with a member's id.
    """
    return leaf_hash(data)


@lru_cache(maxsize=1 << 14)
def _decode(data: bytes) -> SignedTransaction:
    # All copies of a process decode the same bytes; the result is immutable, so they share it.
    if len(data) > MAX_TRANSACTION_BYTES:
        raise EncodingError(f"{len(data)} bytes are more than {MAX_TRANSACTION_BYTES}")
    match decode(data):
        case [bytes(inner), bytes(signature)] if len(signature) == SIGNATURE_BYTES:
            return SignedTransaction(_decode_fields(inner), signature)
        case _:
            raise EncodingError("a signed transaction is [bytes, 64-byte signature]")


def _decode_fields(data: bytes) -> Transaction:
    match decode(data):
        case [bytes(chain), sender, seq, expiry, str(kind), dict(body)] if (
            len(chain) == DIGEST_BYTES
            and is_natural(sender)
            and is_natural(seq)
            and is_natural(expiry)
        ):
            return Transaction(
                chain=chain,
                sender=cast(int, sender),
                seq=cast(int, seq),
                expiry=cast(int, expiry),
                kind=kind,
                body=cast(Mapping[str, Value], freeze(body)),
            )
        case _:
            raise EncodingError("a transaction is [chain, sender, seq, expiry, kind, body]")
