"""Canonical encoding of structured data: DAG-CBOR, one byte string per value.

Everything that is hashed, signed or stored on a ledger goes through `encode`. DAG-CBOR orders map
keys and fixes integer widths; on top of it this module refuses floats (their printed and binary
forms differ between programs, so ε and scores are integers in millionths) and refuses to decode
bytes that are not the canonical encoding of their value.

Source: https://ipld.io/specs/codecs/dag-cbor/spec/ (strictness section).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union

import dag_cbor

from simulation.base.digest import Digest, Tag, tagged_hash

Value = Union[None, bool, int, str, bytes, Sequence["Value"], Mapping[str, "Value"]]
"""What may appear in a ledger object: no floats, string keys only."""

_MAX_INT = 2**64 - 1
_MIN_INT = -(2**64)


class EncodingError(ValueError):
    """The value has no canonical form, or the bytes are not in it."""


def encode(value: Value) -> bytes:
    """The canonical bytes of ``value``.

    Raises:
        EncodingError: for floats, NaN, sets, objects, non-string keys, integers beyond 64 bits;
            the message holds the path to the offending part.
    """
    return dag_cbor.encode(_plain(value, "$"))


def decode(data: bytes) -> Value:
    """The value whose canonical encoding is ``data``.

    Raises:
        EncodingError: when the bytes are no DAG-CBOR, hold a float, or are not canonical.
    """
    try:
        value = dag_cbor.decode(data)
    except Exception as error:  # the library raises several unrelated types for bad bytes
        raise EncodingError(f"not DAG-CBOR: {error}") from error
    plain = _plain(value, "$")
    if dag_cbor.encode(plain) != data:
        raise EncodingError("not canonical: encoding the decoded value gives other bytes")
    return plain


def digest(tag: Tag, value: Value) -> Digest:
    """The tagged hash of the canonical bytes of ``value``."""
    return tagged_hash(tag, encode(value))


def _plain(value: object, path: str) -> dag_cbor.IPLDKind:
    match value:
        case None | bool() | str() | bytes():
            return value
        case int():
            if not _MIN_INT <= value <= _MAX_INT:
                raise EncodingError(f"{path}: integer {value} needs more than 64 bits")
            return value
        case list() | tuple():
            return [_plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
        case Mapping():
            return {_key(k, path): _plain(v, f"{path}.{k}") for k, v in value.items()}
        case float():
            raise EncodingError(f"{path}: floats are not allowed; use integers in millionths")
        case _:
            raise EncodingError(f"{path}: {type(value).__name__} has no canonical form")


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise EncodingError(f"{path}: key {key!r} is not a string")
    return key
