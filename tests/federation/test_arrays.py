"""Arrays in Flower's records: written and read exactly as Flower does, or left to Flower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from simulation.federation.arrays import from_record, to_record

KINDS = ("float32", "float64", "float16", "int64", "int8", "uint8", "bool")
arrays = hnp.arrays(
    st.sampled_from([np.dtype(kind) for kind in KINDS]), hnp.array_shapes(min_dims=0, min_side=0)
)


@given(arrays)
def test_what_is_written_is_what_flower_writes(array: NDArray[Any]) -> None:
    """Byte for byte, with type and shape: nobody can tell who made the record."""
    (ours,) = to_record({"w": array}).values()
    theirs = Array(array)
    assert (ours.dtype, ours.shape, ours.stype) == (theirs.dtype, theirs.shape, theirs.stype)
    assert ours.data == theirs.data


@given(arrays)
def test_what_is_read_is_what_flower_reads(array: NDArray[Any]) -> None:
    """Bit for bit, of the same type and shape, and one's own to write into."""
    found = from_record(ArrayRecord({"w": Array(array)}))["w"]
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10.0)[::3],
        np.arange(4, dtype=">f8"),
        np.array([1 + 2j]),
        np.array(["a", "bc"]),
    ],
    ids=["columns first", "every third", "big-endian", "complex", "text"],
)
def test_other_arrays_are_left_to_flower(array: NDArray[Any]) -> None:
    """There and back without a change, as Flower itself does it."""
    (ours,) = to_record({"w": array}).values()
    assert ours.data == Array(array).data
    np.testing.assert_array_equal(from_record(ArrayRecord({"w": ours}))["w"], array)


def test_bytes_that_are_not_of_the_declared_shape_are_flowers_matter() -> None:
    """A record whose words and bytes differ is read as Flower reads it: by the bytes."""
    given_ = Array(np.arange(6.0).reshape(2, 3))
    odd = Array(dtype="float64", shape=(3, 2), stype=given_.stype, data=given_.data)
    np.testing.assert_array_equal(from_record(ArrayRecord({"w": odd}))["w"], odd.numpy())
    cut = Array(dtype="float64", shape=(2, 3), stype=given_.stype, data=given_.data[:-1])
    with pytest.raises(ValueError, match=r"reshape|EOF|read"):
        from_record(ArrayRecord({"w": cut}))
