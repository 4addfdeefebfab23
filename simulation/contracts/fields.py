"""The parts of a transaction's body, read strictly: anything unexpected is ``malformed``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.encoding import Value
from simulation.ledger.runtime import Context, Rejected
from simulation.ledger.value import is_natural

MAX_TEXT = 128
"""Longest content address, reason or name, in characters."""


def require_role(context: Context, role: str) -> None:
    """Reject a sender of another role with ``wrong-role``."""
    if context.role != role:
        raise Rejected("wrong-role")


def require_keys(body: Mapping[str, Value], names: tuple[str, ...]) -> None:
    """Reject a body that does not hold exactly these keys."""
    if sorted(body) != sorted(names):
        raise Rejected("malformed")


def natural(value: Value) -> int:
    """An integer from 0 to 2⁶³ − 1."""
    if not is_natural(value):
        raise Rejected("malformed")
    return cast(int, value)


def digest(value: Value) -> Digest:
    """Thirty-two bytes."""
    return octets(value, DIGEST_BYTES)


def octets(value: Value, length: int) -> bytes:
    """A byte string of one length."""
    if not isinstance(value, bytes) or len(value) != length:
        raise Rejected("malformed")
    return value


def text(value: Value) -> str:
    """A short, non-empty string."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise Rejected("malformed")
    return value


def rows(value: Value) -> Sequence[Value]:
    """A list."""
    if not isinstance(value, (list, tuple)):
        raise Rejected("malformed")
    return value
