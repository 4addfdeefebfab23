"""Flower's records as canonical bytes and back.

A message's arrays travel as the canonical model bytes whose root goes on the ledger; everything
else (configuration, metrics, the names and order of records) travels beside them. Both directions
are exact: what a ClientApp reads is bit for bit what the other side wrote, in the same order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from numpy.typing import NDArray

from simulation.base.encoding import EncodingError, Value, decode, encode
from simulation.base.tensors import Arrays, encode_model, read_model
from simulation.federation.arrays import from_record, to_record

_SEPARATOR = "/"


def pack(content: RecordDict) -> tuple[bytes, bytes]:
    """The canonical bytes of a record dict: its arrays, and the rest.

    The arrays of a single array record keep their names; with several, names are prefixed by their
    record's key.
    """
    array_records = content.array_records
    prefixed = len(array_records) > 1
    arrays: dict[str, NDArray[Any]] = {}
    layout: list[Value] = []
    for key, record in array_records.items():
        layout.append([key, list(record.keys())])
        for name, array in from_record(record).items():
            arrays[f"{key}{_SEPARATOR}{name}" if prefixed else name] = array
    rest: dict[str, Value] = {
        "order": list(content.keys()),
        "arrays": layout,
        "metrics": [[key, _pack_items(record)] for key, record in content.metric_records.items()],
        "configs": [[key, _pack_items(record)] for key, record in content.config_records.items()],
    }
    return (encode_model(arrays) if array_records else b""), encode(rest)


def unpack(model: bytes, rest: bytes) -> RecordDict:
    """The record dict of `pack`, a fresh one at every call.

    Raises:
        EncodingError: when the bytes are not what `pack` writes.
    """
    return _unpack_as(model, rest, _array_record)


_ToRecord = Callable[[Arrays, Mapping[str, str]], ArrayRecord]
"""Makes an array record of a model's arrays: which of them, under which names."""


def _unpack_as(model: bytes, rest: bytes, to_record: _ToRecord) -> RecordDict:
    try:
        return _unpack(model, cast("dict[str, Any]", decode(rest)), to_record)
    except EncodingError:
        raise
    except Exception as error:  # bytes from a stranger may be canonical and still make no sense
        raise EncodingError(f"not a packed record dict: {error}") from error


def _unpack(model: bytes, fields: dict[str, Any], to_record: _ToRecord) -> RecordDict:
    records: dict[str, ArrayRecord | MetricRecord | ConfigRecord] = {}
    arrays: Arrays = read_model(model) if model else {}
    layout = fields["arrays"]
    for key, names in layout:
        prefix = f"{key}{_SEPARATOR}" if len(layout) > 1 else ""
        records[key] = to_record(arrays, {name: prefix + name for name in names})
    for key, items in fields["metrics"]:
        records[key] = MetricRecord(_unpack_items(items))
    for key, items in fields["configs"]:
        records[key] = ConfigRecord(_unpack_items(items))
    return RecordDict({key: records[key] for key in fields["order"]})


def _array_record(arrays: Arrays, names: Mapping[str, str]) -> ArrayRecord:
    return to_record({name: arrays[full] for name, full in names.items()})


def _checked_record(arrays: Arrays, names: Mapping[str, str]) -> ArrayRecord:
    """An empty record, for whoever does not want the arrays, once it is clear that they are there.

    Raises:
        KeyError: when one is not.
    """
    for full in names.values():
        arrays[full]
    return ArrayRecord()


@lru_cache(maxsize=256)
def declared_examples(model: bytes, rest: bytes) -> int:
    """The weight that a packed reply declares to the strategy; 0 when it declares none.

    Cached, because every hospital asks this of the same bytes.

    Raises:
        EncodingError: when the bytes are not what `pack` writes.
    """
    return examples_in(_unpack_as(model, rest, _checked_record))


def examples_in(content: RecordDict) -> int:
    """The ``num-examples`` of a reply's content, by which strategies weigh it; 0 without one."""
    examples: object = 0
    for record in content.metric_records.values():
        examples = record.get("num-examples", examples)
    return int(examples) if isinstance(examples, (int, float)) else 0


def counted_often(model: bytes, rest: bytes, factor: int) -> bytes:
    """The ``rest`` of a packed reply that declares ``factor`` times as many examples.

    Raises:
        EncodingError: when the bytes are not what `pack` writes.
    """
    content = unpack(model, rest)
    examples = examples_in(content)
    for record in content.metric_records.values():
        if "num-examples" in record:
            record["num-examples"] = examples * factor
    return pack(content)[1]


def array_record_bytes(record: ArrayRecord) -> bytes:
    """The canonical bytes of one array record, as `pack` would send them."""
    return encode_model(from_record(record))


def _pack_items(record: MetricRecord | ConfigRecord) -> Value:
    return [[name, _pack_scalar(value)] for name, value in record.items()]


def _unpack_items(items: list[Any]) -> dict[str, Any]:
    return {name: _unpack_scalar(value) for name, value in items}


def _pack_scalar(value: object) -> Value:
    """Floats become their eight bytes, which is exact; a list keeps its elements' types."""
    match value:
        case list():
            return ["l", [_pack_scalar(item) for item in cast(list[object], value)]]
        case float():
            return ["f", struct.pack(">d", value)]
        case bool() | int() | str() | bytes():
            return ["v", value]
        case _:
            raise EncodingError(f"a Flower record cannot hold {type(value).__name__}")


def _unpack_scalar(packed: Any) -> Any:
    kind, value = packed
    if kind == "l":
        return [_unpack_scalar(item) for item in value]
    return struct.unpack(">d", value)[0] if kind == "f" else value
