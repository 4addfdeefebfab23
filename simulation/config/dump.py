"""A resolved experiment as data, as YAML that reads back to the same, and as a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

import yaml

from simulation.config.experiment import Experiment
from simulation.config.reader import is_text


def to_data(value: object) -> Any:
    """Plain data: every field of every section, defaults included."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_data(v) for k, v in cast("Mapping[object, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [to_data(item) for item in cast("list[object]", value)]
    return value


def to_yaml(experiment: Experiment) -> str:
    """The resolved configuration as a file that loads to an equal experiment."""
    return yaml.dump(
        to_data(experiment), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


def config_hash(experiment: Experiment) -> str:
    """Hexadecimal SHA-256 of the resolved configuration without its seeds, as canonical JSON.

    Equal exactly when two configurations mean the same, however they are written.
    """
    data = to_data(experiment)
    del data["seeds"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class _Dumper(yaml.SafeDumper):
    """Sections as blocks, lists of values on one line."""

    def represent_line(self, data: list[object]) -> yaml.Node:
        """A list in brackets."""
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)

    def represent_text(self, data: str) -> yaml.Node:
        """Text, quoted wherever our own reader would take it for something else (``1e-5``)."""
        style = None if "\n" in data or is_text(data) else "'"
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(list, _Dumper.represent_line)
_Dumper.add_representer(str, _Dumper.represent_text)
