"""Named random streams: free of order, free of each other, and frozen."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.rng import Streams

names = st.lists(st.text(max_size=6) | st.integers(-5, 2000), max_size=4).map(tuple)


def test_streams_are_frozen() -> None:
    """Results published with a seed can be produced again: the key and the draws never change."""
    streams = Streams(42)
    key = "bbc714ff695ce0b30206bbc9d315a954b27384b8cf50e80380dfcf1b6f0ea895"
    draws = [1007314439, 2741028766, 3394015113, 3589912828]
    assert streams.key("network", 0, 3).hex() == key
    assert streams.integer("torch", 2) == 4597147542192435855
    assert streams.stream("network", 0, 3).integers(0, 2**32, 4).tolist() == draws


def test_the_key_is_its_documented_construction() -> None:
    """SHA-256 of the seed and the length-prefixed name, each part with its kind."""
    parts = [b"str:network", b"int:0", b"int:3"]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    expected = hashlib.sha256(b"wardchain/v1/rng:42" + framed).digest()
    assert Streams(42).key("network", 0, 3) == expected


def test_a_stream_does_not_depend_on_others() -> None:
    """Adding a hospital does not shift another's draws."""
    few, many = Streams(7), Streams(7)
    for hospital in reversed(range(50)):
        many.stream("partition", hospital).normal(size=hospital)
    for hospital in range(3):
        expected = few.stream("partition", hospital).normal(size=8)
        assert np.array_equal(many.stream("partition", hospital).normal(size=8), expected)


def test_a_stream_always_starts_at_its_beginning() -> None:
    """A fresh generator at the start of the named stream, however often it is asked for."""
    streams = Streams(1)
    first = streams.stream("noise")
    drawn = first.random(5)
    assert np.array_equal(streams.stream("noise").random(5), drawn)
    assert not np.array_equal(first.random(5), drawn)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a", "b"), ("ab",)),
        ((3,), ("3",)),
        (("a", 1, 2), ("a", 12)),
        (("a", ""), ("a",)),
        ((), ("",)),
        (("int:3",), (3,)),
        ((0, 1), (1, 0)),
        (("a", -1), ("a", 1)),
    ],
)
def test_names_never_run_together(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    """Length-prefixed parts: ("a", "bc") and ("ab", "c") are two streams, and so are 3 and "3"."""
    streams = Streams(0)
    assert streams.key(*one) != streams.key(*other)
    assert streams.integer(*one) != streams.integer(*other)


@given(one=names, other=names, seed=st.integers(0, 2**70))
def test_different_names_have_different_keys(
    one: tuple[str | int, ...], other: tuple[str | int, ...], seed: int
) -> None:
    """For every name its own generator."""
    streams = Streams(seed)
    assert (streams.key(*one) == streams.key(*other)) == (one == other)


@given(one=st.integers(), other=st.integers(), name=names)
def test_different_seeds_have_different_keys(
    one: int, other: int, name: tuple[str | int, ...]
) -> None:
    """A different seed differs in every stream."""
    assert (Streams(one).key(*name) == Streams(other).key(*name)) == (one == other)


@pytest.mark.parametrize("number", [np.int64(3), np.uint8(3), np.int32(3)])
def test_a_numpy_number_is_the_same_name(number: int) -> None:
    """A hospital's number that went through an array still means the same stream."""
    assert Streams(5).key("hospital", number) == Streams(5).key("hospital", 3)


@pytest.mark.parametrize("part", [1.0, None, b"a", ("a",)])
def test_other_parts_are_refused(part: object) -> None:
    """TypeError for a part that is neither text nor a whole number."""
    with pytest.raises(TypeError):
        Streams(5).key("hospital", part)  # type: ignore[arg-type]


@given(seed=st.integers(0, 1000), name=names)
def test_integers_fit_every_library(seed: int, name: tuple[str | int, ...]) -> None:
    """A 63-bit seed: not negative, and below 2**63, which is what PyTorch takes."""
    assert 0 <= Streams(seed).integer(*name) < 2**63
