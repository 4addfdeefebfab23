"""Canonical encoding: the vectors of the specification, and everything that must be refused."""

from __future__ import annotations

import enum
import math
from typing import Any

import dag_cbor
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulation.base.digest import Tag, tagged_hash
from simulation.base.encoding import MAX_DEPTH, EncodingError, decode, digest, encode

# RFC 8949 appendix A, restricted to what DAG-CBOR and this project allow; the map of mixed key
# lengths shows the DAG-CBOR order (shorter keys first, then bytewise).
VECTORS: list[tuple[Any, str]] = [
    (0, "00"),
    (1, "01"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (25, "1819"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (2**64 - 1, "1bffffffffffffffff"),
    (-(2**64), "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (bytes.fromhex("01020304"), "4401020304"),
    ("", "60"),
    ("a", "6161"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("ü", "62c3bc"),
    ("水", "63e6b0b4"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (["a", {"b": "c"}], "826161a161626163"),
    ({"a": "A", "b": "B", "c": "C"}, "a3616161416162614261636143"),
    ({"aa": 1, "b": 2}, "a261620262616101"),
]

plain_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**64), max_value=2**64 - 1)
    | plain_text
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain_text, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(("value", "encoded"), VECTORS, ids=lambda v: str(v)[:24])
def test_specification_vectors(value: Any, encoded: str) -> None:
    """Structured data is DAG-CBOR: one encoding per value."""
    assert encode(value).hex() == encoded
    assert decode(bytes.fromhex(encoded)) == value


@given(values)
def test_the_bytes_are_those_of_a_dag_cbor_library(value: Any) -> None:
    """DAG-CBOR: one encoding per value; an independent implementation gives the same."""
    assert encode(value) == dag_cbor.encode(value)


@given(values)
def test_round_trip(value: Any) -> None:
    """decode(encode(v)) = v, with the types kept: True is not 1."""
    again = decode(encode(value))
    assert again == value
    assert repr(again) == repr(_ordered(value))


def _ordered(value: Any) -> Any:
    """The value with its maps in DAG-CBOR key order, so that representations can be compared."""
    match value:
        case dict():
            keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
            return {key: _ordered(value[key]) for key in keys}
        case list():
            return [_ordered(item) for item in value]
        case _:
            return value


@given(st.dictionaries(plain_text, st.integers(0, 9), min_size=2, max_size=6), st.randoms())
def test_insertion_order_of_a_map_does_not_matter(value: dict[str, int], random: Any) -> None:
    """One encoding per value: a map is its set of entries."""
    items = list(value.items())
    random.shuffle(items)
    assert encode(dict(items)) == encode(value)


@given(st.binary(max_size=120))
@example(b"\x81" * 5000 + b"\x00")
@example(bytes.fromhex("9bffffffffffffffff"))
@example(bytes.fromhex("5bffffffffffffffff"))
@example(bytes.fromhex("7b00000fffffffffff"))
@example(bytes.fromhex("bbffffffffffffffff"))
def test_arbitrary_bytes_decode_canonically_or_are_refused(data: bytes) -> None:
    """A decoder re-encodes and refuses what is not canonical; no bytes make it crash."""
    try:
        value = decode(data)
    except EncodingError:
        return
    assert encode(value) == data


class Colour(enum.IntEnum):
    """An integer with a name."""

    RED = 1


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (1.5, "$"),
        (math.nan, "$"),
        (math.inf, "$"),
        ({"a": [0, 1.0]}, "$.a[1]"),
        ({"a": {"b": -math.inf}}, "$.a.b"),
        ([{1, 2}], "$[0]"),
        ({"x": frozenset()}, "$.x"),
        pytest.param({"k": object()}, "$.k", id="an object, whose text holds its address"),
        ({"k": {1: "a"}}, "$.k"),
        ({b"k": 1}, "$"),
        ({None: 1}, "$"),
        ({"big": 2**64}, "$.big"),
        ([[], -(2**64) - 1], "$[1]"),
        ({"n": np.int64(3)}, "$.n"),
        ({"n": np.float64(3)}, "$.n"),
        ({"n": np.arange(3)}, "$.n"),
        ({"n": bytearray(b"a")}, "$.n"),
        ({"n": 1 + 0j}, "$.n"),
        ({"n": "half \ud800"}, "$.n"),
        ({"half \udfff": 1}, "$"),
    ],
    ids=lambda v: repr(v)[:32],
)
def test_what_has_no_canonical_form_is_refused_with_its_path(value: Any, path: str) -> None:
    """No floats, NaN, sets, objects, non-string keys or oversized integers; the path says where."""
    with pytest.raises(EncodingError) as caught:
        encode(value)
    assert str(caught.value).startswith(f"{path}: ")


def test_subclasses_of_plain_types_encode_as_the_plain_value() -> None:
    """One encoding per value: a named integer is its number, a tuple is its list."""
    assert encode((Colour.RED, "a")) == encode([1, "a"])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("", "nothing at all"),
        ("1800", "one-byte integer in two bytes"),
        ("190017", "integer in three bytes"),
        ("1a0000ffff", "integer in five bytes"),
        ("1b00000000ffffffff", "integer in nine bytes"),
        ("3800", "negative integer in two bytes"),
        ("580161", "length in two bytes"),
        ("780161", "text length in two bytes"),
        ("9801f6", "list length in two bytes"),
        ("b801616101", "map length in two bytes"),
        ("9f01ff", "list of indefinite length"),
        ("bf616101ff", "map of indefinite length"),
        ("5f4101ff", "bytes of indefinite length"),
        ("a2616201616101", "map keys out of order"),
        ("a262616101616202", "longer key first"),
        ("a2616101616102", "repeated key"),
        ("a10102", "integer key"),
        ("a1410102", "bytes key"),
        ("f7", "undefined"),
        ("e0", "unassigned simple value"),
        ("f814", "false in two bytes"),
        ("f93c00", "half-precision float"),
        ("fa3f800000", "single-precision float"),
        ("fb3ff0000000000000", "double-precision float"),
        ("fb7ff8000000000000", "NaN"),
        ("fb7ff0000000000000", "infinity"),
        ("c11a514b67b0", "tag other than 42"),
        ("c249010000000000000000", "big number"),
        ("d82a4100", "broken link"),
        ("c25907d0" + "ff" * 2000, "enormous number"),
        ("61ff", "text that is not UTF-8"),
        ("63eda080", "half of a surrogate pair"),
        ("0000", "trailing byte"),
        ("8201", "list that ends early"),
        ("4401", "bytes that end early"),
        ("ff", "stop code alone"),
    ],
    ids=lambda v: v.replace(" ", "-") if isinstance(v, str) else v,
)
def test_bytes_that_are_not_canonical_are_refused(data: str, what: str) -> None:
    """A decoder re-encodes and refuses what is not canonical, and what holds a float."""
    with pytest.raises(EncodingError):
        decode(bytes.fromhex(data))


def test_strictness_does_not_rest_on_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder re-encodes: a library that became lenient would not make two byte strings one."""
    monkeypatch.setattr("cbor2.loads", lambda data, **_: 0)
    assert decode(b"\x00") == 0
    with pytest.raises(EncodingError, match="not canonical"):
        decode(b"\x18\x00")


def test_links_are_refused() -> None:
    """Ledger objects hold content addresses as text: tag 42 would be a second form of them."""
    link = bytes.fromhex(
        "d82a58250001551220" + "22ad631c69ee983095b5b8acd029ff94aff1dc6c48837878589a92b90dfea317"
    )
    with pytest.raises(EncodingError, match="tag 42 is not allowed"):
        decode(link)


def test_a_value_that_refers_to_its_own_parts_is_refused_at_once() -> None:
    """Shared references (tags 28 and 29) would let 600 bytes unfold to 2**60 items."""
    parts = [b"\xd8\x1c\x80"]
    for i in range(60):
        reference = b"\xd8\x1d" + encode(i)
        parts.append(b"\xd8\x1c\x82" + reference + reference)
    with pytest.raises(EncodingError, match="tag 28 is not allowed"):
        decode(b"\x98" + bytes([len(parts)]) + b"".join(parts))


@pytest.mark.parametrize(
    "value", [10**5000, [-(10**5000)], {10**5000: 1}], ids=["value", "item", "key"]
)
def test_numbers_too_large_to_print_are_refused_like_others(value: Any) -> None:
    """Python does not print integers of more than 4300 digits; the refusal must not try to."""
    with pytest.raises(EncodingError):
        encode(value)


def test_nesting_is_bounded_the_same_way_in_both_directions() -> None:
    """Whether bytes are accepted may not depend on how much of Python's stack is free."""
    deepest = b"\x81" * MAX_DEPTH + b"\x00"
    assert encode(decode(deepest)) == deepest
    with pytest.raises(EncodingError, match="containers"):
        decode(b"\x81" + deepest)
    with pytest.raises(EncodingError, match="containers"):
        encode([decode(deepest)])


def test_a_list_that_contains_itself_is_refused() -> None:
    """A value without end has no canonical form."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EncodingError, match="containers"):
        encode(endless)


def test_digest_is_the_tagged_hash_of_the_canonical_bytes() -> None:
    """digest(tag, v) = TH(tag, encode(v)); the constant was derived once and frozen."""
    value = {"round": 3, "kind": "task.commit", "body": [b"\x00\x01", None, True, -1]}
    by_hand = bytes.fromhex(
        "a3"
        "64626f6479" "84420001f6f520"
        "646b696e64" "6b7461736b2e636f6d6d6974"
        "65726f756e64" "03"
    )  # fmt: skip
    assert encode(value) == by_hand
    assert digest(Tag.TX, value) == tagged_hash(Tag.TX, by_hand)
    frozen = "efa750e30d459f0076ae66e4f293e8b2eb92e066018c2bd859dc8edb0043d81f"
    assert digest(Tag.TX, value).hex() == frozen
