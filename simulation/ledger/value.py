"""Ledger values that nobody can change in place, and typed access to their parts.

Copies share decoded values, and contracts are pure functions of state; both need values that stay
what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from simulation.base.encoding import Value


def freeze(value: Value) -> Value:
    """The same value with read-only mappings and tuples, all the way down."""
    if isinstance(value, (str, bytes)) or value is None or isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    return tuple(freeze(item) for item in value)


def is_natural(value: object) -> bool:
    """Whether the value is an integer from 0 to 2⁶³ − 1 (and not a boolean)."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
