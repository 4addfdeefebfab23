"""``wardchain verify-receipt``: check one receipt offline, with the membership root alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulation.cli.exits import DIFFERENCE, DONE, emit
from simulation.cli.options import Json
from simulation.cli.prove import plain, sentence

if TYPE_CHECKING:
    from simulation.ledger.proof import StateProof
    from simulation.ledger.receipt import Receipt

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A receipt or state proof.", dir_okay=False)
]
Root = Annotated[
    str | None,
    typer.Option(help="The membership root, 64 hexadecimal digits. Default: the run's genesis."),
]


def verify_receipt(file: File, root: Root = None, json: Json = False) -> int:
    """Check a receipt (a transaction and its outcome) or a state proof (what a key held).

    Signatures of a quorum, the voters' changes since the founders, and the proof in the block's
    header; exit code 3 when the file proves nothing under the membership root.
    """
    from simulation.config.errors import ConfigError
    from simulation.ledger.proof import ProofError

    expected, source = _root(file, root)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    try:
        found = _verified(data, expected)
    except ProofError as error:
        if json:
            emit(
                {"receipt": str(file), "ok": False, "problem": str(error), "exit_code": DIFFERENCE}
            )
        else:
            print(f"{file}: proves nothing: {error}")
        return DIFFERENCE
    certified = found.certified
    signers, voters = len(certified.certificate.signatures), len(certified.voters.replicas)
    fields, words = _content(found)
    if json:
        report = {
            "receipt": str(file),
            "ok": True,
            "chain": certified.founders.chain.hex(),
            "membership_root": expected.hex(),
            "root_from": source,
            "height": found.header.height,
            "handovers": len(certified.handovers),
            "signers": signers,
        }
        emit({**report, **fields, "exit_code": DONE})
        return DONE
    print(f"{file}: {words}, signed by {signers} of {voters} replicas")
    if certified.handovers:
        heights = ", ".join(str(handover.header.height) for handover in certified.handovers)
        print(f"the voters were handed over after height {heights}, each time by a quorum")
    print(f"membership root {expected.hex()} (from {source})")
    return DONE


def _verified(data: bytes, root: bytes) -> Receipt | StateProof:
    """Either kind of file, by what it says it is."""
    from simulation.base.encoding import EncodingError, decode
    from simulation.ledger.proof import STATE, verify_state_proof
    from simulation.ledger.receipt import verify_receipt as verify

    try:
        match decode(data):
            case [_, str(kind), *_] if kind == STATE:
                return verify_state_proof(data, root)
            case _:
                pass
    except EncodingError:
        pass  # no receipt either, and refused as one
    return verify(data, root)


def _content(found: Receipt | StateProof) -> tuple[dict[str, Any], str]:
    """What was proved, as fields and in words."""
    from simulation.ledger.proof import StateProof
    from simulation.ledger.transaction import SignedTransaction

    height = found.header.height
    if isinstance(found, StateProof):
        present = found.value is not None
        fields = {"key": found.key, "present": present, "value": plain(found.value)}
        return fields, sentence(found.key, found.value, height)
    transaction = SignedTransaction.decode(found.transaction).transaction
    fields = {
        "kind": transaction.kind,
        "sender": transaction.sender,
        "accepted": found.outcome.accepted,
        "code": found.outcome.code,
    }
    words = (
        f"{transaction.kind} of member {transaction.sender} is at height {height} with outcome "
        f"{found.outcome.code}"
    )
    return fields, words


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
