"""The closed form beside `simulation.runs.storage`: a round's bytes on the chain, by arithmetic.

Nothing here encodes anything. Sizes follow from the fields of each transaction and from the rule of
DAG-CBOR that a number, and the length of a text, a byte string or a list, takes as few bytes as it
can (`simulation.base.encoding.head_bytes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from simulation.base.encoding import head_bytes

_DIGEST = head_bytes(32) + 32
_SIGNATURE = head_bytes(64) + 64


def _text(word: str) -> int:
    return head_bytes(len(word)) + len(word)


def _map(*names: str) -> int:
    return head_bytes(len(names)) + sum(_text(name) for name in names)


CID_CHARACTERS = 59
_CID = head_bytes(CID_CHARACTERS) + CID_CHARACTERS


def transaction_size(kind: str, sender: int, seq: int, expiry: int, body: int) -> int:
    """Bytes of a signed transaction with a body of so many: fields, signature and their heads."""
    fields = 1 + _DIGEST + head_bytes(sender) + head_bytes(seq) + head_bytes(expiry)
    inner = fields + _text(kind) + body
    return 1 + head_bytes(inner) + inner + _SIGNATURE


def open_body(number: int, hospitals: Sequence[int]) -> int:
    """``task.open``: the round, the base model's root, and every eligible hospital."""
    return _map("round", "base_root", "eligible") + head_bytes(number) + _DIGEST + _list(hospitals)


def commit_body(number: int, nbytes: int, examples: int, dp: int = 1) -> int:
    """``task.commit``: a constant, and the widths of three numbers; ``dp`` is the claim's size."""
    names = _map("round", "commitment", "base_root", "nbytes", "examples", "dp", "cid")
    widths = head_bytes(number) + head_bytes(nbytes) + head_bytes(examples)
    return names + 2 * _DIGEST + widths + dp + 1


def reveal_body(number: int, holders: Sequence[int]) -> int:
    """``task.reveal``: a constant, and f + 1 signatures."""
    names = _map("round", "update_root", "salt", "cid", "holdings")
    signed = sum(1 + head_bytes(holder) + _SIGNATURE for holder in holders)
    return names + head_bytes(number) + 2 * _DIGEST + _CID + head_bytes(len(holders)) + signed


def confirm_body(number: int) -> int:
    """``task.confirm``: the round and the root of the replica's own aggregate."""
    return _map("round", "out_root") + head_bytes(number) + _DIGEST


def aggregate_body(number: int, hospitals: Sequence[int]) -> int:
    """``task.aggregate``: two roots, an address, and every hospital whose update went in."""
    names = _map("round", "hospitals", "inputs_root", "out_root", "out_cid")
    return names + head_bytes(number) + _list(hospitals) + 2 * _DIGEST + _CID


def certificate_size(replicas: int, signers: int) -> int:
    """Bytes of a quorum certificate: a bit for each replica, a signature for each signer."""
    bitmap = (replicas + 7) // 8
    return 1 + head_bytes(bitmap) + bitmap + head_bytes(signers) + signers * _SIGNATURE


def header_size(height: int, view: int, proposer: int, time_us: int) -> int:
    """Bytes of a header: five digests and five numbers."""
    return 1 + 1 + 5 * _DIGEST + sum(head_bytes(x) for x in (height, view, proposer, time_us))


def _list(numbers: Sequence[int]) -> int:
    return head_bytes(len(numbers)) + sum(head_bytes(number) for number in numbers)


def round_size(
    n: int,
    number: int,
    holders: Sequence[Sequence[int]],
    nbytes: int,
    examples: Sequence[int],
    expiry: int = 1000,
) -> dict[str, int]:
    """Bytes of an undisturbed round's transactions, by kind, when all n hospitals are replicas.

    Every hospital commits, reveals with the signatures of f + 1 holders, and confirms; the
    coordinator opens and closes. But for the widths of numbers that is ``a + b n`` for open and
    aggregate, ``c n`` for commits and confirms, and ``(d + e (f + 1)) n`` for reveals: the only
    kind that grows with the square of n.

    Args:
        n: hospitals, 0 to n − 1; the coordinator is member n.
        number: of the round, from 1; the sequence numbers follow from it.
        holders: who signs for each hospital's update.
        nbytes: of an update's canonical bytes.
        examples: each hospital's declared weight.
        expiry: a height of expiry; all are taken to be as wide as this one.
    """
    sizes: Counter[str] = Counter()
    bodies = {
        "task.open": open_body(number, range(n)),
        "task.aggregate": aggregate_body(number, range(n)),
    }
    for step, (kind, body) in enumerate(bodies.items(), start=1):
        sizes[kind] += transaction_size(kind, n, 2 * (number - 1) + step, expiry, body)
    for hospital in range(n):
        bodies = {
            "task.commit": commit_body(number, nbytes, examples[hospital]),
            "task.reveal": reveal_body(number, holders[hospital]),
            "task.confirm": confirm_body(number),
        }
        for step, (kind, body) in enumerate(bodies.items(), start=1):
            sizes[kind] += transaction_size(kind, hospital, 3 * (number - 1) + step, expiry, body)
    return dict(sizes)
