"""Model parameters as canonical bytes, their digest, and their way back.

A model is a mapping from names to arrays. Its *root* identifies the values and nothing else: not
the memory layout, the insertion order, the file format or the library that produced it. Each tensor
is a leaf of an RFC 6962 tree over the leaves sorted by the UTF-8 bytes of their names.

Source: the project's protocol, section 2 (encoding and digests).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.base.digest import Digest, Tag, tagged_hash
from simulation.base.encoding import EncodingError, decode, encode
from simulation.base.merkle import merkle_root

Arrays = Mapping[str, NDArray[Any]]
"""Parameter name to array, the shape of a PyTorch ``state_dict``."""

DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
"""The closed list of element types. Names are NumPy's; bytes are little-endian."""


class TensorError(EncodingError):
    """The array has no canonical form: NaN, infinity, a bad name, or a type outside `DTYPES`."""


def tensor_bytes(name: str, array: NDArray[Any]) -> tuple[str, list[int], bytes]:
    """Element type, shape and little-endian C-order bytes of one array.

    −0.0 becomes +0.0, and every true boolean becomes the byte 1.

    Raises:
        TensorError: naming the tensor and the first offending element.
    """
    dtype = array.dtype.name
    if dtype not in DTYPES:
        raise TensorError(
            f"tensor {name!r}: element type {dtype} is not one of {', '.join(DTYPES)}"
        )
    if array.dtype.kind == "f":
        finite = np.isfinite(array)
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise TensorError(f"tensor {name!r}: element {where} is {array[where]}, not finite")
    little = np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if little.dtype.kind == "f":
        # On the bits, not by adding +0: a library that makes the processor flush subnormal numbers
        # to zero would otherwise change the digest of a model that holds one.
        width = little.dtype.itemsize
        bits = little.view(f"<u{width}")
        bits[bits == 1 << (8 * width - 1)] = 0
    elif little.dtype.kind == "b":
        little = little.view(np.uint8) != 0
    return dtype, [int(size) for size in array.shape], little.tobytes()


def model_root(arrays: Arrays) -> Digest:
    """``TH(model, RFC 6962 root of the tensor leaves sorted by UTF-8 name)``.

    Raises:
        TensorError: for the reasons of `tensor_bytes`.
    """
    leaves: list[bytes] = []
    for name in _sorted_names(arrays):
        dtype, shape, data = tensor_bytes(name, arrays[name])
        leaves.append(encode([name, dtype, shape, len(data), tagged_hash(Tag.TENSOR, data)]))
    return tagged_hash(Tag.MODEL, merkle_root(leaves))


def encode_model(arrays: Arrays) -> bytes:
    """The canonical bytes of a whole model: what travels and what a vault keeps."""
    return encode([[n, *tensor_bytes(n, arrays[n])] for n in _sorted_names(arrays)])


def decode_model(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of `encode_model`, in name order, each owning its memory.

    Raises:
        EncodingError: when the bytes are not the canonical form of a model; a `TensorError` when
            they hold NaN or infinity.
    """
    rows = decode(data)
    if not isinstance(rows, list):
        raise EncodingError("a model is a list of tensors")
    arrays: dict[str, NDArray[Any]] = {}
    for row in rows:
        match row:
            case [str(name), str(dtype), [*shape], bytes(body)] if dtype in DTYPES:
                arrays[name] = _array(name, dtype, shape, body)
            case _:
                raise EncodingError("a tensor is [name, dtype, shape, bytes]")
    if encode_model(arrays) != data:
        raise EncodingError("not canonical: tensors unsorted or repeated, or −0.0 inside")
    return arrays


@lru_cache(maxsize=32)
def read_model(data: bytes) -> Arrays:
    """The arrays of `decode_model`, read-only and shared by all who ask for the same bytes.

    Raises:
        EncodingError: as `decode_model`.
    """
    arrays = decode_model(data)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _array(name: str, dtype: str, shape: list[Any], body: bytes) -> NDArray[Any]:
    kind = np.dtype(dtype).newbyteorder("<")
    if not all(type(size) is int and size >= 0 for size in shape):  # True is no size
        raise EncodingError(f"tensor {name!r}: shape {shape} is not a list of sizes")
    expected = kind.itemsize
    for size in shape:
        expected *= size
    if len(body) != expected:
        raise EncodingError(f"tensor {name!r}: {len(body)} bytes, shape {shape} needs {expected}")
    flat = np.frombuffer(body, dtype=kind)
    try:  # a size beyond memory beside a size of 0, or more than 64 sizes
        return flat.reshape(shape).astype(np.dtype(dtype), copy=True)
    except ValueError as error:
        raise EncodingError(f"tensor {name!r}: no array has this shape: {error}") from error


def _sorted_names(arrays: Arrays) -> list[str]:
    try:
        return sorted(arrays, key=lambda name: name.encode("utf-8"))
    except (AttributeError, UnicodeEncodeError) as error:
        raise TensorError(f"a tensor's name is not text: {error}") from error
