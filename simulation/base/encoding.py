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
from typing import Any, NoReturn, Union, cast

import cbor2

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
    return _canonical(_checked(value))


def decode(data: bytes) -> Value:
    """The value whose canonical encoding is ``data``.

    Raises:
        EncodingError: when the bytes are no DAG-CBOR, hold a float, nest beyond `MAX_DEPTH`, or are
            not canonical.
    """
    try:
        value = cbor2.loads(data, semantic_decoders=_NO_TAGS)
    except Exception as error:  # the library raises several unrelated types for bad bytes
        raise EncodingError(f"not DAG-CBOR: {error.__cause__ or error}") from error
    plain = _checked(value)
    if _canonical(plain) != data:
        raise EncodingError("not canonical: encoding the decoded value gives other bytes")
    return plain


def head_bytes(number: int) -> int:
    """Bytes that a whole number takes, or the length before a text, byte string, list or map.

    RFC 8949 §3: up to 23 within the first byte, then in 1, 2, 4 or 8 more.
    """
    bounds = {24: 1, 1 << 8: 1, 1 << 16: 2, 1 << 32: 4}
    return 1 + sum(more for bound, more in bounds.items() if number >= bound)


def digest(tag: Tag, value: Value) -> Digest:
    """The tagged hash of the canonical bytes of ``value``."""
    return tagged_hash(tag, encode(value))


def _canonical(plain: Value) -> bytes:
    # The library's canonical form (shortest heads, definite lengths, keys by length and then by
    # bytes: RFC 7049 §3.9) is DAG-CBOR's for values without floats and tags, which `_checked` has
    # refused. The tests hold it against a DAG-CBOR library.
    return cbor2.dumps(plain, canonical=True)


class _NoTags(dict[int, Any]):
    """Refuses every tag before the library acts on it.

    Tags can make a value refer to its own parts: two hundred bytes that unfold to millions of items
    would keep a replica busy for ever.
    """

    def __missing__(self, tag: int) -> NoReturn:
        raise EncodingError(f"tag {tag} is not allowed")


_NO_TAGS = _NoTags()


class _Refused(Exception):
    """What is wrong, and where: the steps from the offending part up to the root."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.steps: list[str] = []


def _checked(value: object) -> Value:
    """``value`` with plain lists and dictionaries inside, once all of it may be encoded."""
    try:
        return _plain(value, 0)
    except _Refused as refused:
        path = "$" + "".join(reversed(refused.steps))
        shown = path if len(path) <= 80 else f"{path[:80]}…"
        raise EncodingError(f"{shown}: {refused.problem}") from None


def _plain(value: object, depth: int) -> Value:
    # The path to a part is put together only when the part is refused: it is needed once in a
    # thousand calls, and building it cost more than the encoding.
    if depth > MAX_DEPTH:
        raise _Refused(f"more than {MAX_DEPTH} containers inside one another")
    match value:
        case bytes() | bool() | None:
            return value
        case str():
            return _text(value)
        case int():
            if not _MIN_INT <= value <= _MAX_INT:
                raise _Refused(f"integer of {value.bit_length()} bits, more than 64")
            return value
        case list() | tuple():
            return _items(cast("Sequence[object]", value), depth)
        case Mapping():
            return _entries(cast("Mapping[object, object]", value), depth)
        case float():
            raise _Refused("floats are not allowed; use integers in millionths")
        case _:
            raise _Refused(f"{type(value).__name__} has no canonical form")


def _items(items: Sequence[object], depth: int) -> list[Value]:
    plain: list[Any] = []
    try:
        for item in items:
            plain.append(_plain(item, depth + 1))  # noqa: PERF401 (the length is the failing index)
    except _Refused as refused:
        refused.steps.append(f"[{len(plain)}]")
        raise
    return plain


def _entries(entries: Mapping[object, object], depth: int) -> dict[str, Value]:
    plain: dict[str, Any] = {}
    for key, value in entries.items():
        if not isinstance(key, str):
            raise _Refused(f"key of type {type(key).__name__} is not a string")
        name = _text(key)
        try:
            plain[name] = _plain(value, depth + 1)
        except _Refused as refused:
            refused.steps.append(f".{key}")
            raise
    return plain


def _text(text: str) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise _Refused("text holds half of a surrogate pair") from None
    return text
