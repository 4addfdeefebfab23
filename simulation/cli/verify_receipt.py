"""``wardchain verify-receipt``: check one receipt offline, with the membership root alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulation.cli.exits import DIFFERENCE, DONE, emit
from simulation.cli.options import Json

Receipt = Annotated[Path, typer.Argument(metavar="FILE", help="A receipt file.", dir_okay=False)]
Root = Annotated[
    str | None,
    typer.Option(help="The membership root, 64 hexadecimal digits. Default: the run's genesis."),
]


def verify_receipt(file: Receipt, root: Root = None, json: Json = False) -> int:
    """Check a receipt: signatures of a quorum, and that transaction and outcome are in the block.

    Exit code 3 when it proves nothing under the membership root.
    """
    from simulation.config.errors import ConfigError
    from simulation.ledger.receipt import ReceiptError
    from simulation.ledger.receipt import verify_receipt as verify
    from simulation.ledger.transaction import SignedTransaction

    expected, source = _root(file, root)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    try:
        receipt = verify(data, expected)
    except ReceiptError as error:
        if json:
            emit(
                {"receipt": str(file), "ok": False, "problem": str(error), "exit_code": DIFFERENCE}
            )
        else:
            print(f"{file}: proves nothing: {error}")
        return DIFFERENCE
    transaction = SignedTransaction.decode(receipt.transaction).transaction
    report = {
        "receipt": str(file),
        "ok": True,
        "chain": receipt.voters.chain.hex(),
        "membership_root": expected.hex(),
        "root_from": source,
        "height": receipt.header.height,
        "kind": transaction.kind,
        "sender": transaction.sender,
        "accepted": receipt.outcome.accepted,
        "code": receipt.outcome.code,
        "signers": len(receipt.certificate.signatures),
        "exit_code": DONE,
    }
    if json:
        emit(report)
    else:
        print(
            f"{file}: {transaction.kind} of member {transaction.sender} is at height "
            f"{receipt.header.height} with outcome {receipt.outcome.code}, signed by "
            f"{len(receipt.certificate.signatures)} of {len(receipt.voters.keys)} replicas"
        )
        print(f"membership root {expected.hex()} (from {source})")
    return DONE


def _root(file: Path, given: str | None) -> tuple[bytes, str]:
    """The membership root to hold the receipt against, and where it comes from."""
    from simulation.base.encoding import EncodingError
    from simulation.config.errors import ConfigError
    from simulation.ledger.genesis import Genesis

    if given is not None:
        try:
            return bytes.fromhex(given), "--root"
        except ValueError as error:
            raise ConfigError(f"--root: {given!r} is not hexadecimal") from error
    for folder in file.absolute().parents[:4]:
        path = folder / "genesis.cbor"
        if path.is_file():
            try:
                return Genesis.decode(path.read_bytes()).voters.root, str(path)
            except EncodingError as error:
                raise ConfigError(f"{path}: {error}; give the root with --root") from error
    raise ConfigError(f"{file}: lies in no run directory; give the membership root with --root")
