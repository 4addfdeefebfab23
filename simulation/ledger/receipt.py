"""A receipt: proof, in one small file, that a transaction is in the history of a chain.

It holds the block's certified header (`simulation.ledger.proof`) and two RFC 6962 inclusion proofs:
of the transaction in the transaction root, and of its outcome in the receipts root. A hospital that
keeps the 32-byte membership root can verify it offline, for ever, without a ledger copy, whoever
has joined and left since.

Source: the project's protocol, section 3 (close); RFC 9162 §2.1.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from simulation.base.digest import Digest
from simulation.base.encoding import EncodingError, decode, encode
from simulation.base.merkle import InclusionProof, inclusion_proof, verify_inclusion
from simulation.ledger.block import Header, Outcome, receipt_bytes
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.proof import (
    NOT_CANONICAL,
    PROOF_VERSION,
    CertifiedHeader,
    ProofError,
    certified_of,
    digests,
    require_sound,
)
from simulation.ledger.transaction import transaction_id
from simulation.ledger.value import is_natural

TRANSACTION = "transaction"


@dataclass(frozen=True)
class Receipt:
    """One transaction, its outcome, and why to believe both."""

    certified: CertifiedHeader
    transaction: bytes
    """As it was ordered."""
    outcome: Outcome
    path: InclusionProof
    """Of the transaction under the header's transaction root."""
    outcome_path: tuple[Digest, ...]
    """Of the outcome under its receipts root; index and size are those of ``path``."""

    @property
    def header(self) -> Header:
        """Of the transaction's block."""
        return self.certified.header

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes: what a hospital files away."""
        return encode(
            [
                PROOF_VERSION,
                TRANSACTION,
                self.certified.row,
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
                2,
                "transaction",
                certified,
                bytes(transaction),
                [bool(accepted), str(code)],
                [index, size, [*path]],
                [*outcome_path],
            ] if is_natural(index) and is_natural(size):
                receipt = cls(
                    certified_of(certified),
                    transaction,
                    Outcome(accepted, code),
                    InclusionProof(cast(int, index), cast(int, size), digests(path)),
                    digests(outcome_path),
                )
            case _:
                raise EncodingError("not a receipt of version 2")
        if receipt.encoded != data:
            raise EncodingError(NOT_CANONICAL)
        return receipt

    def fault(self) -> str | None:
        """Why this proves nothing about its own founders, or None when it does."""
        problem = self.certified.fault()
        if problem is not None:
            return problem
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
    certified = None if found is None else copy.certified(found[0])
    if found is None or certified is None:
        return None
    block = copy.block(found[0])
    ids = [transaction_id(data) for data in block.transactions]
    index = ids.index(tx_id)
    leaves = [receipt_bytes(*pair) for pair in zip(ids, block.outcomes, strict=True)]
    return Receipt(
        certified,
        block.transactions[index],
        block.outcomes[index],
        inclusion_proof(block.transactions, index),
        inclusion_proof(leaves, index).path,
    )


def verify_receipt(data: bytes, membership_root: Digest) -> Receipt:
    """The receipt in these bytes, every claim of it verified.

    ``membership_root`` is that of the chain's founders, which the verifier has known all along.

    Raises:
        ProofError: when the bytes are no receipt, the founders are not those of the membership
            root, or header, certificate, handovers and proofs do not fit.
    """
    try:
        receipt = Receipt.decode(data)
    except EncodingError as error:
        raise ProofError(str(error)) from error
    require_sound(receipt.certified, receipt.fault(), membership_root)
    return receipt
