"""What may be written where: the parameter classes of all parts, read as a tree of sections.

A *section* is a frozen dataclass of some part of the program. A *choice* is a union of such classes
told apart by ``kind``. Everything else is a *value*. The same tree serves the builder, the JSON
schema and the generated documentation, so the three cannot disagree.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

KIND = "kind"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a section."""

    name: str
    annotation: Any
    """Its type, resolved."""
    default: object
    """What holds when it is left out; `MISSING` when it must be given."""
    sections: tuple[type, ...]
    """The classes that it chooses from; empty for a plain value."""
    optional: bool
    """Whether null may be written."""
    many: bool = False
    """Whether it is a list of such sections."""

    @property
    def required(self) -> bool:
        """Whether it must be written."""
        return self.default is MISSING


@cache
def parameters(section: type) -> Mapping[str, Parameter]:
    """The fields of a section by name, in the order in which they are declared."""
    hints = get_type_hints(section, include_extras=True)
    return {
        field.name: Parameter(
            field.name,
            hints[field.name],
            _default(field),
            *_sections(_item(hints[field.name])),
            many=_item(hints[field.name]) is not hints[field.name],
        )
        for field in fields(section)
    }


def kind_of(section: type) -> str | None:
    """The ``kind`` that names a section within a choice; none when it has none."""
    parameter = parameters(section).get(KIND)
    return None if parameter is None else str(get_args(parameter.annotation)[0])


def by_kind(sections: Sequence[type]) -> dict[str, type]:
    """The sections of a choice by their ``kind``."""
    return {kind: section for section in sections if (kind := kind_of(section)) is not None}


def _default(field: Field[Any]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _item(annotation: Any) -> Any:
    """What a list of sections is a list of; every other type itself."""
    if get_origin(annotation) is tuple:
        item, *rest = get_args(annotation)
        if rest == [Ellipsis] and _sections(item)[0]:
            return item
    return annotation


def _sections(annotation: Any) -> tuple[tuple[type, ...], bool]:
    """The dataclasses in a type, and whether it admits null."""
    members = get_args(annotation) if _is_union(annotation) else (annotation,)
    classes = tuple(m for m in members if isinstance(m, type) and is_dataclass(m))
    return classes, type(None) in members


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


# ---- what people read ---------------------------------------------------------------------------


def summary(section: type) -> str:
    """The docstring of a section, unwrapped."""
    return unwrapped(inspect.getdoc(section) or "")


@cache
def documentation(section: type) -> Mapping[str, str]:
    """The docstring below each field of a section, unwrapped, by field name.

    A field that several kinds have in common is documented in the class that they derive from.
    """
    found: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if is_dataclass(base):
            found |= _own_documentation(base)
    return found


def _own_documentation(section: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(section)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for statement, following in pairwise(body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = unwrapped(text)
            case _:
                pass
    return found


def unwrapped(text: str) -> str:
    """Text with its source's line breaks taken out; blank lines still part paragraphs."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_PLURALS = {int: "whole numbers", float: "numbers", bool: "booleans", str: "words"}


def describe(annotation: Any) -> str:
    """A type as people say it: ``a whole number or null``, ``one of safe, 2f+1``."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if _is_union(annotation):
        # null goes last, whatever the order in the source.
        members = sorted(arguments, key=lambda member: member is type(None))
        return " or ".join("null" if m is type(None) else describe(m) for m in members)
    if origin is Literal:
        values = [str(value) for value in arguments]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    if origin in (tuple, list, Sequence):
        if get_origin(arguments[0]) in (tuple, list):
            return "a list of lists"
        return f"a list of {_PLURALS.get(arguments[0], 'values')}"
    if origin in (dict, Mapping):
        return "'name: value' lines"
    if isinstance(annotation, type) and is_dataclass(annotation):
        return kind_of(annotation) or "a section"
    return "a value"
