"""Ledger values that nobody can change in place, and typed access to their parts.

Copies share decoded values, and contracts are pure functions of state; both need values that stay
what they are. And what is made of a value that stays what it is need be made only once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Concatenate, ParamSpec, TypeVar, cast

from simulation.base.encoding import Value

P = ParamSpec("P")
T = TypeVar("T")
_MOST_READ = 1 << 14
"""How many values a `read_once` reader keeps in mind."""


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


def read_once(read: Callable[Concatenate[Value, P], T]) -> Callable[Concatenate[Value, P], T]:
    """The same pure function, called once for each frozen mapping (and further hashable arguments).

    Copies that have executed the same block hold the same objects, and ask the same questions of
    them: they share the answers. A copy that holds anything else, equal or not, asks for itself.
    """
    known: dict[tuple[object, ...], tuple[Value, T]] = {}

    @wraps(read)
    def reader(value: Value, *args: P.args, **kwargs: P.kwargs) -> T:
        if value.__class__ is not MappingProxyType:  # may be changed in place
            return read(value, *args, **kwargs)
        key = (id(value), *args)
        found = known.get(key)
        if found is not None and found[0] is value:
            return found[1]
        result = read(value, *args, **kwargs)
        if len(known) >= _MOST_READ:
            known.clear()
        # The value is kept beside the result, so that no other object gets its id.
        known[key] = value, result
        return result

    return cast("Callable[Concatenate[Value, P], T]", reader)
