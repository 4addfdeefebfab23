"""The receipts that a run leaves for its hospitals: proof of their part that needs no ledger copy.

    receipts/hospital-02/round-001-commit.receipt      its own commitments and reveals
    receipts/coordinator/round-001-aggregate.receipt   the results

`simulation.ledger.receipt` says what a receipt holds; ``wardchain verify-receipt`` checks one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simulation.base.encoding import EncodingError
from simulation.ledger.copy import LedgerCopy
from simulation.ledger.receipt import issue_receipt
from simulation.ledger.transaction import SignedTransaction, transaction_id
from simulation.nodes.ledger_service import LedgerService

FOLDER = "receipts"
KINDS = ("task.commit", "task.reveal", "task.aggregate")


def write_receipts(out: Path, services: Sequence[LedgerService]) -> int:
    """Write every member's receipts, each from its own copy; returns how many there are."""
    return sum(_write(out / FOLDER / service.copy.name, service.copy) for service in services)


def _write(folder: Path, copy: LedgerCopy) -> int:
    """The receipts of one member for those of its transactions that were accepted."""
    count = 0
    for height in range(1, copy.height + 1):
        block = copy.block(height)
        for data, outcome in zip(block.transactions, block.outcomes, strict=True):
            if not outcome.accepted:
                continue
            try:
                transaction = SignedTransaction.decode(data).transaction
            except EncodingError:
                continue
            if transaction.sender != copy.node or transaction.kind not in KINDS:
                continue
            receipt = issue_receipt(copy, transaction_id(data))
            if receipt is None:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            what = transaction.kind.partition(".")[2]
            name = f"round-{transaction.body['round']:03d}-{what}.receipt"
            (folder / name).write_bytes(receipt.encoded)
            count += 1
    return count
