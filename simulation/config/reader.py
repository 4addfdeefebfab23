"""Strict YAML: what a file says is what the author meant, or an error with line and column.

A subset of YAML 1.2's core schema. Against the usual surprises of YAML 1.1: ``1e-5`` is a number,
``yes``, ``no``, ``on`` and ``off`` are words, ``010`` is ten, ``1_000``, ``12:30`` and dates are
text, and a key that is written twice is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from simulation.config.errors import ConfigError, Path, dotted

MAX_DEPTH = 16
"""An alias inside its own anchor would nest for ever."""

_RESOLVERS = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)",
        list("-+.0123456789"),
    ),
)


class _Loader(yaml.SafeLoader):
    """A loader that resolves plain scalars by `_RESOLVERS` and nothing else."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (declared by PyYAML)


for _tag, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), _first)


@dataclass(slots=True)
class Document:
    """A configuration as written, before anybody has judged its fields."""

    data: dict[str, object]
    """Mappings, lists, text, numbers, booleans and null."""
    origin: str
    """What to call the document in messages: the file's path."""
    places: dict[Path, str] = field(default_factory=dict)
    """Where each value was written: ``file:line``, or the ``--set`` that put it there."""

    def place(self, path: Path) -> str:
        """Where a field, or failing that the nearest section around it, was written."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return self.origin


def read(file: FilePath) -> Document:
    """Read a configuration file.

    Raises:
        ConfigError: when the file cannot be read or is not strict YAML with a mapping at its top.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error
    return read_text(text, str(file))


def read_text(text: str, origin: str) -> Document:
    """Read a configuration from text; ``origin`` names it in messages.

    Raises:
        ConfigError: as for `read`.
    """
    root = _compose(text, origin)
    if root is None:
        raise ConfigError(f"{origin}: is empty; see configs/README.md for the parameters")
    document = Document({}, origin)
    value = _construct(root, (), document)
    if not isinstance(value, dict):
        raise ConfigError(f"{_at(root, origin)}: a configuration is a list of 'key: value' lines")
    document.data = cast("dict[str, object]", value)
    return document


def read_value(text: str, origin: str) -> object:
    """Read one YAML value, for ``--set``.

    Raises:
        ConfigError: when it is not a YAML value.
    """
    root = _compose(text, origin)
    return None if root is None else _construct(root, (), Document({}, origin))


def is_text(plain: str) -> bool:
    """Whether this, written without quotes, would be read as text."""
    return not any(re.fullmatch(pattern, plain) for _, pattern, _ in _RESOLVERS)


def _compose(text: str, origin: str) -> Node | None:
    loader = _Loader("")
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{origin}:{mark.line + 1}:{mark.column + 1}" if mark else origin
        raise ConfigError(f"{where}: {_explain(text, error)}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: is not text that YAML allows ({error})") from error
    finally:
        loader.dispose()


def _explain(text: str, error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not YAML"
    if "'\\t'" in problem:
        return "a tab where YAML allows only spaces; indent with spaces"
    mark = error.problem_mark
    if mark is not None and mark.line < len(lines := text.split("\n")) and "\t" in lines[mark.line]:
        return f"not YAML: {problem} (the line holds a tab; indent with spaces)"
    return f"not YAML: {problem}; check indentation, colons and brackets around here"


def _construct(node: Node, path: Path, document: Document) -> object:
    """Plain data from a node, noting where each value was written."""
    document.places[path] = f"{document.origin}:{node.start_mark.line + 1}"
    if len(path) > MAX_DEPTH:
        raise ConfigError(f"{_at(node, document.origin)}: nested deeper than any parameter is")
    match node:
        case MappingNode():
            return _construct_mapping(node, path, document)
        case SequenceNode():
            return [_construct(item, (*path, i), document) for i, item in enumerate(node.value)]
        case ScalarNode():
            return _construct_scalar(node, document.origin)
        case _:
            raise AssertionError("a YAML node is a mapping, a sequence or a scalar")


def _construct_mapping(node: MappingNode, path: Path, document: Document) -> dict[str, object]:
    result: dict[str, object] = {}
    first: dict[str, int] = {}
    for key_node, value_node in node.value:
        place = _at(key_node, document.origin)
        if not isinstance(key_node, ScalarNode) or key_node.tag == "tag:yaml.org,2002:null":
            raise ConfigError(f"{place}: a key must be a word; quote it if it is text")
        key = str(key_node.value)
        if key in result:
            raise ConfigError(
                f"{place}: {dotted((*path, key))}: written twice, first in line {first[key]}; "
                "keep one of the two"
            )
        result[key] = _construct(value_node, (*path, key), document)
        first[key] = key_node.start_mark.line + 1
        document.places[(*path, key)] = f"{document.origin}:{first[key]}"
    return result


def _construct_scalar(node: ScalarNode, origin: str) -> object:
    text = str(node.value)
    match node.tag:
        case "tag:yaml.org,2002:str":
            return text
        case "tag:yaml.org,2002:null":
            return None
        case "tag:yaml.org,2002:bool":
            return text.lower() == "true"
        case "tag:yaml.org,2002:int":
            return int(text)
        case "tag:yaml.org,2002:float":
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        case tag:
            raise ConfigError(f"{_at(node, origin)}: the tag {tag} is not supported; remove it")


def _at(node: Node, origin: str) -> str:
    return f"{origin}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
