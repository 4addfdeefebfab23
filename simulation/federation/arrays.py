"""Arrays into Flower's records and out of them, without writing and parsing a header each time.

Flower keeps an array as the bytes of a ``.npy`` file. For the few shapes of one model the header is
always the same, and making and parsing it with NumPy costs more than the numbers behind it. What is
written here is byte for byte what Flower writes, and what is read is what Flower reads; any other
array is left to Flower.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.lib import format as npy
from numpy.typing import NDArray

from simulation.base.tensors import Arrays

_NUMPY = "numpy.ndarray"
"""How Flower names arrays that it keeps as ``.npy``."""


@lru_cache(maxsize=1024)
def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The first bytes of the file of a C-contiguous array."""
    buffer = io.BytesIO()
    described = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def to_record(arrays: Mapping[str, NDArray[Any]]) -> ArrayRecord:
    """An array record of arrays by name."""
    return ArrayRecord({name: _to_flower(array) for name, array in arrays.items()})


def from_record(record: ArrayRecord) -> Arrays:
    """The arrays of a record by name, each a copy that may be written to."""
    return {name: _from_flower(array) for name, array in record.items()}


def _to_flower(array: NDArray[Any]) -> Array:
    dtype = str(array.dtype)
    if not array.flags.c_contiguous or not array.dtype.isnative or array.dtype.kind not in "biuf":
        return Array(array)
    data = _header(dtype, array.shape) + array.tobytes()
    return Array(dtype=dtype, shape=array.shape, stype=_NUMPY, data=data)


def _from_flower(array: Array) -> NDArray[Any]:
    try:
        dtype = np.dtype(array.dtype)
    except TypeError:
        return array.numpy()
    if array.stype != _NUMPY or not dtype.isnative or dtype.kind not in "biuf":
        return array.numpy()
    header = _header(array.dtype, array.shape)
    size = len(header) + dtype.itemsize * int(np.prod(array.shape, dtype=np.int64))
    if len(array.data) != size or not array.data.startswith(header):
        return array.numpy()
    return np.frombuffer(array.data, dtype, offset=len(header)).reshape(array.shape).copy()
