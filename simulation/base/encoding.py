"""Canonical encoding of structured data: DAG-CBOR, one byte string per value.

Everything that is hashed, signed or stored on a ledger goes through `encode`. DAG-CBOR orders map
keys and fixes integer widths; on top of it this module refuses floats (their printed and binary
forms differ between programs, so ε and scores are integers in millionths), refuses to decode
bytes that are not the canonical encoding of their value, and bounds the nesting: without a bound
of our own, whether bytes are accepted would depend on how much of Python's stack is free at the
moment, and two replicas could disagree about one transaction.

Source: https://ipld.io/specs/codecs/dag-cbor/spec/ (strictness section).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union, cast

import dag_cbor

from simulation.base.digest import Digest, Tag, tagged_hash

Value = Union[None, bool, int, str, bytes, Sequence["Value"], Mapping[str, "Value"]]
"""What may appear in a ledger object: no floats, string keys only."""

_MAX_INT = 2**64 - 1
_MIN_INT = -(2**64)

MAX_DEPTH = 64
"""Most containers that may lie inside one another; the project's own objects need few."""


class EncodingError(ValueError):
    """The value has no canonical form, or the bytes are not in it."""


def encode(value: Value) -> bytes:
    """The canonical bytes of ``value``.

    Raises:
        EncodingError: for floats, NaN, sets, objects, non-string keys, integers beyond 64 bits,
            text that is not Unicode, nesting beyond `MAX_DEPTH`; the message holds the path to the
            offending part.
    """
    return _canonical(_plain(value, "$", 0))


def decode(data: bytes) -> Value:
    """The value whose canonical encoding is ``data``.

    Raises:
        EncodingError: when the bytes are no DAG-CBOR, hold a float, nest beyond `MAX_DEPTH`, or are
            not canonical.
    """
    try:
        value = dag_cbor.decode(data)
    except Exception as error:  # the library raises several unrelated types for bad bytes
        raise EncodingError(f"not DAG-CBOR: {error}") from error
    plain = _plain(value, "$", 0)
    if _canonical(plain) != data:
        raise EncodingError("not canonical: encoding the decoded value gives other bytes")
    return plain


def digest(tag: Tag, value: Value) -> Digest:
    """The tagged hash of the canonical bytes of ``value``."""
    return tagged_hash(tag, encode(value))


def _canonical(plain: Value) -> bytes:
    # `_plain` gives lists and dictionaries, which the library's own type wants and `Value` is wider
    # than, so that callers may hand over tuples and read-only mappings.
    return dag_cbor.encode(cast("dag_cbor.IPLDKind", plain))


def _plain(value: object, path: str, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise EncodingError(f"{path[:80]}…: more than {MAX_DEPTH} containers inside one another")
    match value:
        case None | bool() | bytes():
            return value
        case str():
            return _text(value, path)
        case int():
            if not _MIN_INT <= value <= _MAX_INT:
                raise EncodingError(f"{path}: integer {value} needs more than 64 bits")
            return value
        case list() | tuple():
            return [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        case Mapping():
            return {_key(k, path): _plain(v, f"{path}.{k}", depth + 1) for k, v in value.items()}
        case float():
            raise EncodingError(f"{path}: floats are not allowed; use integers in millionths")
        case _:
            raise EncodingError(f"{path}: {type(value).__name__} has no canonical form")


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise EncodingError(f"{path}: key {key!r} is not a string")
    return _text(key, path)


def _text(text: str, path: str) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise EncodingError(f"{path}: text holds half of a surrogate pair") from error
    return text
