"""Model roots: the values and nothing else; and canonical model bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simulation.base.digest import Tag, tagged_hash
from simulation.base.encoding import EncodingError, encode
from simulation.base.merkle import merkle_root
from simulation.base.tensors import (
    DTYPES,
    Arrays,
    TensorError,
    decode_model,
    encode_model,
    model_root,
    tensor_bytes,
)

# Derived once from the construction in `test_root_is_its_documented_construction`, and frozen.
FROZEN_ROOT = "4011625c949fdb421591af3b0ee12ed44b99da43fed4d6ff710257d83652d301"
FROZEN_MODEL = (
    "83"
    "84" "6a6c617965722e62696173" "67666c6f61743332" "8102" "48" "00000000" "0000c03f"
    "84" "6c6c617965722e776569676874" "67666c6f61743332" "820203" "5818"
    "00000000" "0000803e" "0000003f" "0000403f" "0000803f" "0000a03f"
    "84" "657374657073" "65696e743634" "80" "48" "0700000000000000"
)  # fmt: skip


def a_model() -> dict[str, np.ndarray[Any, Any]]:
    """A matrix, a vector with a −0.0 in it, and a counter without dimensions."""
    return {
        "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / np.float32(4),
        "layer.bias": np.array([-0.0, 1.5], dtype=np.float32),
        "steps": np.array(7, dtype=np.int64),
    }


def finite(dtype: str) -> st.SearchStrategy[Any]:
    """Finite elements of one element type."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return hnp.from_dtype(kind, allow_nan=False, allow_infinity=False)
    return hnp.from_dtype(kind)


arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        elements=finite(dtype),
    )
)
models = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=6), arrays, max_size=4
)


def test_frozen_vector() -> None:
    """Roots and bytes written by an earlier version stay valid."""
    assert model_root(a_model()).hex() == FROZEN_ROOT
    assert encode_model(a_model()).hex() == FROZEN_MODEL


def test_root_is_its_documented_construction() -> None:
    """Leaf = cbor([name, dtype, shape, nbytes, TH(tensor, bytes)]); root = TH(model, tree root)."""
    leaves = [
        encode([name, dtype, shape, len(data), tagged_hash(Tag.TENSOR, data)])
        for name, dtype, shape, data in [
            ("layer.bias", "float32", [2], bytes.fromhex("000000000000c03f")),
            ("layer.weight", "float32", [2, 3], b"".join(_f32(i / 4) for i in range(6))),
            ("steps", "int64", [], (7).to_bytes(8, "little")),
        ]
    ]
    assert model_root(a_model()) == tagged_hash(Tag.MODEL, merkle_root(leaves))


def _f32(value: float) -> bytes:
    import struct

    return struct.pack("<f", value)


@given(models)
@settings(max_examples=60)
def test_round_trip(model: dict[str, Any]) -> None:
    """decode(encode(m)) has the same values, shapes, types and root, and owns its memory."""
    again = decode_model(encode_model(model))
    assert list(again) == sorted(model, key=lambda name: name.encode())
    for name, array in again.items():
        assert array.dtype == model[name].dtype
        assert array.shape == model[name].shape
        assert np.array_equal(array, model[name])
        assert array.flags.writeable
        assert array.flags.owndata or array.base is None or array.base.flags.owndata
    assert model_root(again) == model_root(model)


@given(arrays)
def test_memory_layout_does_not_matter(array: Any) -> None:
    """Little-endian C-order bytes: Fortran order, strides and views have the same root."""
    plain = model_root({"w": np.ascontiguousarray(array).reshape(array.shape)})
    padded = np.zeros((*array.shape, 2), dtype=array.dtype)
    padded[..., 0] = array
    backwards = array[::-1].copy()[::-1] if array.ndim else array
    for view in (np.asfortranarray(array), padded[..., 0], backwards, array.T.copy().T):
        assert model_root({"w": view.reshape(array.shape)}) == plain


@given(arrays)
def test_endianness_does_not_matter(array: Any) -> None:
    """The same numbers in the other byte order are the same model."""
    swapped = array.astype(array.dtype.newbyteorder(">"))
    assert model_root({"w": swapped}) == model_root({"w": array})
    assert encode_model({"w": swapped}) == encode_model({"w": array})


def test_insertion_order_does_not_matter() -> None:
    """Leaves are sorted by the UTF-8 bytes of their names, not by the order of the mapping."""
    model = a_model()
    assert model_root(dict(reversed(model.items()))) == model_root(model)
    # Code points above U+FFFF sort after U+FF5E in UTF-8, and before it in UTF-16.
    names = ["\U00010151", "\uff5e", "a"]
    ordered = decode_model(encode_model({n: np.zeros(1, dtype=np.float32) for n in names}))
    assert list(ordered) == ["a", "\uff5e", "\U00010151"]


def test_the_array_handed_in_is_not_changed() -> None:
    """Hashing a model reads it: −0.0 stays in the caller's array."""
    model = a_model()
    model_root(model)
    encode_model(model)
    assert np.signbit(model["layer.bias"][0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_negative_zero_is_zero(dtype: str, shape: tuple[int, ...]) -> None:
    """−0.0 becomes +0.0; numbers next to it keep their sign."""
    zero, negative = np.zeros(shape, dtype), np.full(shape, -0.0, dtype)
    smallest = np.full(shape, -np.finfo(dtype).smallest_subnormal, dtype)
    assert model_root({"w": negative}) == model_root({"w": zero})
    assert model_root({"w": smallest}) != model_root({"w": zero})
    assert model_root({"w": smallest}) != model_root({"w": -smallest})
    assert np.array_equal(decode_model(encode_model({"w": smallest}))["w"], smallest)


def test_true_is_one() -> None:
    """A boolean has two values, whatever byte its memory holds."""
    odd = np.array([0, 1, 2, 255], dtype=np.uint8).view(np.bool_)
    assert model_root({"m": odd}) == model_root({"m": np.array([False, True, True, True])})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_numbers_that_are_not_finite_are_refused_and_named(bad: float, dtype: str) -> None:
    """NaN and Inf refused; the message names the tensor and the first offending element."""
    array = np.zeros((2, 3), dtype=dtype)
    array[1, 2] = bad
    for act in (model_root, encode_model):
        with pytest.raises(TensorError, match=r"tensor 'layer': element \(1, 2\) is -?(nan|inf)"):
            act({"fine": np.zeros(1, dtype="f4"), "layer": array})
    with pytest.raises(TensorError, match=r"element \(\) is"):
        model_root({"scalar": np.array(bad, dtype=dtype)})


@pytest.mark.parametrize(
    "dtype", ["complex64", "uint16", "uint32", "uint64", "object", "<U3", "M8[s]"]
)
def test_other_element_types_are_refused(dtype: str) -> None:
    """dtype from a closed list."""
    with pytest.raises(TensorError, match="tensor 'w': element type"):
        model_root({"w": np.zeros(2, dtype=dtype)})


@pytest.mark.parametrize("name", [3, None, "half \ud800"])
def test_names_that_are_not_text_are_refused(name: Any) -> None:
    """A tensor's name is text that UTF-8 can hold."""
    with pytest.raises(TensorError, match="name"):
        model_root({name: np.zeros(1, dtype="f4")})


@pytest.mark.parametrize(
    "other",
    [
        {"w": np.zeros((3, 2), dtype="f4")},
        {"w": np.zeros(6, dtype="f4")},
        {"w": np.zeros((2, 3, 1), dtype="f4")},
        {"w": np.zeros((2, 3), dtype="i4")},
        {"w": np.zeros((2, 3), dtype="f8")},
        {"v": np.zeros((2, 3), dtype="f4")},
        {"w": np.zeros((2, 3), dtype="f4"), "v": np.zeros(0, dtype="f4")},
        {"w": np.eye(2, 3, dtype="f4")},
        {},
    ],
    ids=["transposed", "flat", "extra-axis", "int", "double", "renamed", "added", "value", "empty"],
)
def test_everything_that_a_model_is_counts(other: Arrays) -> None:
    """Concatenated bytes are blind to shapes; the root sees name, type, shape and values."""
    base = {"w": np.zeros((2, 3), dtype="f4")}
    assert model_root(other) != model_root(base)
    assert encode_model(other) != encode_model(base)


def test_moving_an_element_between_tensors_counts() -> None:
    """The borders between tensors are part of the model."""
    one = {"a": np.zeros(2, dtype="f4"), "b": np.zeros(1, dtype="f4")}
    other = {"a": np.zeros(1, dtype="f4"), "b": np.zeros(2, dtype="f4")}
    assert model_root(one) != model_root(other)


def test_one_changed_weight_in_a_large_tensor_counts() -> None:
    """A printed tensor hides weights behind dots; the root sees every one."""
    weights = np.zeros(100_000, dtype="f4")
    roots = set()
    for at in (0, 1, 50_000, 99_999):
        changed = weights.copy()
        changed[at] = np.nextafter(np.float32(0), np.float32(1))
        roots.add(model_root({"w": changed}))
    assert len(roots | {model_root({"w": weights})}) == 5


def row(
    name: Any = "w", dtype: Any = "float32", shape: Any = (1,), body: Any = b"\x00\x00\x80\x3f"
) -> list[Any]:
    """One tensor as it stands in the bytes of a model."""
    return [name, dtype, list(shape) if isinstance(shape, tuple) else shape, body]


def test_the_helper_row_is_good() -> None:
    """What the refusals below start from is itself accepted."""
    assert decode_model(encode([row()]))["w"].tolist() == [1.0]


@pytest.mark.parametrize(
    "rows",
    [
        {"w": 1},
        "model",
        [row("b"), row("a")],
        [row(), row()],
        [row(body=b"\x00\x00\x80")],
        [row(body=b"\x00\x00\x80\x3f\x00")],
        [row(body=b"")],
        [row(shape=(2,))],
        [row(shape=(-1,))],
        [row(shape=(True,))],
        [row(shape=("1",))],
        [row(shape=1)],
        [row(shape=(0, 2**63), body=b"")],
        [row(shape=(0, 2**64 - 1), body=b"")],
        [row(shape=(1,) * 65)],
        [row(shape=(2**62, 2**62))],
        [row(dtype="uint16")],
        [row(dtype="<f4")],
        [row(dtype="object")],
        [row(dtype=1)],
        [row(name=1)],
        [row(name=b"w")],
        [row(body="text")],
        [row(dtype="bool", body=b"\x02")],
        [row(body=b"\x00\x00\x00\x80")],
        [row(body=b"\x00\x00\xc0\x7f")],
        [row(body=b"\x00\x00\x80\xff")],
        [row()[:3]],
        [[*row(), 1]],
        [None],
    ],
    ids=[
        "map", "text", "unsorted", "repeated", "short", "long", "empty-body", "larger-shape",
        "negative", "boolean-size", "text-size", "shape-no-list", "zero-times-huge",
        "zero-times-largest", "65-axes", "huge", "type", "byte-order", "object", "type-no-text",
        "name-no-text", "name-bytes", "body-text", "true-is-2", "negative-zero", "nan",
        "infinity", "three", "five", "none",
    ],
)  # fmt: skip
def test_bytes_that_are_not_a_canonical_model_are_refused(rows: Any) -> None:
    """One byte string per model: decoding raises EncodingError for everything else."""
    with pytest.raises(EncodingError):
        decode_model(encode(rows))


def test_trailing_bytes_are_refused() -> None:
    """Nothing may hide behind a model."""
    with pytest.raises(EncodingError):
        decode_model(encode_model(a_model()) + b"\x00")


@given(st.binary(max_size=100))
@example(b"\x80")
@example(b"\x81\x84")
def test_arbitrary_bytes_never_crash(data: bytes) -> None:
    """What a vault or a sender hands over is refused or decoded, never an accident."""
    try:
        model = decode_model(data)
    except EncodingError:
        return
    assert encode_model(model) == data


@given(at=st.integers(0, len(bytes.fromhex(FROZEN_MODEL)) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_changes_the_root_or_is_refused(at: int, bit: int) -> None:
    """No bit of a model's bytes is free."""
    altered = bytearray.fromhex(FROZEN_MODEL)
    altered[at] ^= 1 << bit
    try:
        root = model_root(decode_model(bytes(altered)))
    except EncodingError:
        return
    assert root.hex() != FROZEN_ROOT


def test_tensor_bytes_returns_type_shape_and_bytes() -> None:
    """Element type by NumPy's name, the shape as a list, then the bytes."""
    array = np.array([[1, 2]], dtype=">i2")
    assert tensor_bytes("w", array) == ("int16", [1, 2], b"\x01\x00\x02\x00")
