"""A receipt: proof, in one small file, that a transaction is in the history of a chain.

It holds the block's header, the quorum's certificate of it, the voters' keys, and two RFC 6962
inclusion proofs: of the transaction in the transaction root, and of its outcome in the receipts
root. A hospital that keeps the 32-byte membership root can verify it offline, for ever, without a
ledger copy.

Source: the project's protocol, section 3 (close); RFC 9162 §2.1.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.encoding import EncodingError, Value, decode, encode
from simulation.base.merkle import InclusionProof, inclusion_proof, verify_inclusion
from simulation.ledger.block import Certificate, Header, Outcome, receipt_bytes
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.genesis import Voters
from simulation.ledger.transaction import transaction_id
from simulation.ledger.value import is_natural

RECEIPT_VERSION = 1


class ReceiptError(ValueError):
    """The bytes are no receipt, or prove nothing under the given membership root."""


@dataclass(frozen=True)
class Receipt:
    """One transaction, its outcome, and why to believe both."""

    voters: Voters
    header: Header
    certificate: Certificate
    transaction: bytes
    """As it was ordered."""
    outcome: Outcome
    path: InclusionProof
    """Of the transaction under ``header.transaction_root``."""
    outcome_path: tuple[Digest, ...]
    """Of the outcome under ``header.receipts_root``; index and size are those of ``path``."""

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes: what a hospital files away."""
        return encode(
            [
                RECEIPT_VERSION,
                [self.voters.chain, self.voters.quorum, self.voters.keys],
                self.header.encoded,
                self.certificate.encoded,
                self.transaction,
                [self.outcome.accepted, self.outcome.code],
                [self.path.index, self.path.size, self.path.path],
                self.outcome_path,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Receipt:
        """The receipt whose canonical bytes are ``data``; nothing is verified here.

        Raises:
            EncodingError: for anything else.
        """
        match decode(data):
            case [
                1,
                [bytes(chain), quorum, [*keys]],
                bytes(header),
                bytes(certificate),
                bytes(transaction),
                [bool(accepted), str(code)],
                [index, size, [*path]],
                [*outcome_path],
            ] if is_natural(quorum) and is_natural(index) and is_natural(size):
                receipt = cls(
                    Voters(chain, cast(int, quorum), _byte_strings(keys)),
                    Header.decode(header),
                    Certificate.decode(certificate),
                    transaction,
                    Outcome(accepted, code),
                    InclusionProof(cast(int, index), cast(int, size), _byte_strings(path)),
                    _byte_strings(outcome_path),
                )
            case _:
                raise EncodingError("not a receipt of version 1")
        if receipt.encoded != data:
            raise EncodingError("not canonical: a number is written as a truth value")
        return receipt

    def fault(self) -> str | None:
        """Why this proves nothing about its own voters, or None when it does."""
        problem = self.certificate.fault(self.header, self.voters)
        if problem is not None:
            return problem
        if self.header.chain != self.voters.chain:
            return "the header is of another chain"
        if not verify_inclusion(self.transaction, self.path, self.header.transaction_root):
            return "the transaction is not in the block"
        leaf = receipt_bytes(transaction_id(self.transaction), self.outcome)
        path = InclusionProof(self.path.index, self.path.size, self.outcome_path)
        if not verify_inclusion(leaf, path, self.header.receipts_root):
            return "the outcome is not in the block"
        return None


def issue_receipt(copy: LedgerCopy, tx_id: Digest) -> Receipt | None:
    """The receipt of a transaction, from a copy that holds its block and a certificate of it.

    None while the transaction is in no block, or its block is not certified yet.
    """
    found = copy.outcome(tx_id)
    certificate = None if found is None else copy.certificate(found[0])
    if found is None or certificate is None:
        return None
    block = copy.block(found[0])
    ids = [transaction_id(data) for data in block.transactions]
    index = ids.index(tx_id)
    leaves = [receipt_bytes(*pair) for pair in zip(ids, block.outcomes, strict=True)]
    return Receipt(
        copy.genesis.voters,
        block.header,
        certificate,
        block.transactions[index],
        block.outcomes[index],
        inclusion_proof(block.transactions, index),
        inclusion_proof(leaves, index).path,
    )


def verify_receipt(data: bytes, membership_root: Digest) -> Receipt:
    """The receipt in these bytes, every claim of it verified.

    ``membership_root`` is `Voters.root` of the chain, which the verifier has known all along.

    Raises:
        ReceiptError: when the bytes are no receipt, the voters are not those of the membership
            root, or header, certificate and proofs do not fit.
    """
    try:
        receipt = Receipt.decode(data)
    except EncodingError as error:
        raise ReceiptError(str(error)) from error
    if receipt.voters.root != membership_root:
        raise ReceiptError("the voters are not those of the membership root")
    problem = receipt.fault()
    if problem is not None:
        raise ReceiptError(problem)
    return receipt


def _byte_strings(items: list[Value]) -> tuple[bytes, ...]:
    found = tuple(item for item in items if isinstance(item, bytes))
    if len(found) != len(items) or any(len(item) != DIGEST_BYTES for item in found):
        raise EncodingError(f"keys and digests are byte strings of {DIGEST_BYTES}")
    return found
