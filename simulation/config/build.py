"""From plain data to parameter objects, collecting every problem on the way.

Sections are walked here, because that is where unknown keys, missing keys and kinds are judged in
words. Values are judged by pydantic in strict mode (no text that looks like a number). Ranges are
judged by the parameter classes themselves, in the module that uses them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Any, Final, Literal, cast, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from simulation.config.errors import Path, Problem, nearest
from simulation.config.sections import (
    KIND,
    Parameter,
    by_kind,
    describe,
    documentation,
    kind_of,
    parameters,
)


class _Invalid:
    """Stands for a value whose problems have been noted."""


INVALID: Final = _Invalid()


@dataclass(slots=True)
class Builder:
    """Builds sections; afterwards ``problems`` says what was wrong with them."""

    problems: list[Problem] = field(default_factory=list)

    def section(self, section: type, data: object, path: Path) -> Any:
        """The parameter object that ``data`` describes, or `INVALID`."""
        if not isinstance(data, Mapping):
            self._note(path, f"must be a section of 'key: value' lines, got {_shown(data)}")
            return INVALID
        entries = cast("Mapping[str, object]", data)
        known = parameters(section)
        before = len(self.problems)
        for key in entries:
            if key not in known:
                self._note((*path, key), self._unknown(key, section))
        values: dict[str, object] = {}
        for name, parameter in known.items():
            if name in entries:
                values[name] = self._parameter(parameter, entries[name], (*path, name))
            elif parameter.required:
                meaning = documentation(section).get(name, "").split(". ")[0].rstrip(".")
                self._note((*path, name), f"is missing; add it: {meaning}")
        if len(self.problems) > before:
            return INVALID
        try:
            return section(**values)
        except ValueError as error:
            self._refused(section, path, str(error))
            return INVALID

    def _parameter(self, parameter: Parameter, data: object, path: Path) -> object:
        if data is None and parameter.optional:
            return None
        if not parameter.sections:
            return self._value(parameter.annotation, data, path)
        if parameter.many:
            return self._list(parameter, data, path)
        return self._one(parameter, data, path)

    def _list(self, parameter: Parameter, data: object, path: Path) -> object:
        if not isinstance(data, list):
            self._note(path, f"must be a list of sections, one after each '-', got {_shown(data)}")
            return INVALID
        items = cast("list[object]", data)
        return tuple(self._one(parameter, item, (*path, i)) for i, item in enumerate(items))

    def _one(self, parameter: Parameter, data: object, path: Path) -> object:
        choices = by_kind(parameter.sections)
        if not choices:
            return self.section(parameter.sections[0], data, path)
        if isinstance(data, str):
            # `ledger: none` is short for `ledger: {kind: none}`.
            data = {KIND: data}
        if not isinstance(data, Mapping):
            self._note(
                path, f"must be a section with kind: {' | '.join(choices)}, got {_shown(data)}"
            )
            return INVALID
        entries = cast("Mapping[str, object]", data)
        return self._choice(parameter, choices, entries, path)

    def _choice(
        self,
        parameter: Parameter,
        choices: Mapping[str, type],
        entries: Mapping[str, object],
        path: Path,
    ) -> object:
        kind = entries.get(KIND)
        if KIND not in entries:
            usual = parameter.default
            settled = usual is not MISSING and usual is not None and not parameter.many
            kind = kind_of(type(usual)) if settled else None
            if kind is None:
                self._note((*path, KIND), f"is missing; choose one of {', '.join(choices)}")
                return INVALID
        if not isinstance(kind, str) or kind not in choices:
            hint = nearest(str(kind), list(choices))
            self._note((*path, KIND), f"unknown kind {_shown(kind)}; {hint}")
            return INVALID
        chosen = choices[kind]
        strangers = [key for key in entries if key not in parameters(chosen)]
        # A whole list cannot be replaced by one of its kinds.
        listed = isinstance(path[-1], int)
        rest_hint = "" if listed else f", or replace the whole section with --set {path[-1]}={kind}"
        at_home = {
            key: owner
            for key in strangers
            # Of several kinds that know it, the one declared first is the usual one.
            for owner, section in reversed(list(choices.items()))
            if key in parameters(section)
        }
        for key, owner in at_home.items():
            self._note(
                (*path, key),
                f"belongs to kind: {owner}, but kind is {kind}; "
                f"remove it{' or' if listed else ','} change kind{rest_hint}",
            )
        rest = {key: value for key, value in entries.items() if key not in at_home}
        built = self.section(chosen, rest, path)
        return INVALID if at_home else built

    def _value(self, annotation: Any, data: object, path: Path) -> object:
        if _has_no_json(data):
            self._note(
                path, f"must be {describe(annotation)}, got {_shown(data)}; it is not finite"
            )
            return INVALID
        try:
            return _adapter(annotation).validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            inner = next((e["loc"] for e in error.errors() if e["loc"]), ())
            position = tuple(step for step in inner[:1] if isinstance(step, int))
            found = cast("list[object]", data)[position[0]] if position else data
            expected = describe(get_args(annotation)[0] if position else annotation)
            self._note(
                (*path, *position),
                f"must be {expected}, got {_shown(found)}{_meant(annotation, data)}",
            )
            return INVALID

    def _unknown(self, key: str, section: type) -> str:
        return f"unknown; {nearest(key, list(parameters(section)))}"

    def _refused(self, section: type, path: Path, message: str) -> None:
        """A parameter class has refused its values; its message starts with the field's name."""
        name, colon, rest = message.partition(": ")
        if colon and name in parameters(section):
            self._note((*path, name), rest)
        else:
            self._note(path, message)

    def _note(self, path: Path, message: str) -> None:
        self.problems.append(Problem(path, message))


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def _has_no_json(data: object) -> bool:
    match data:
        case float():
            return not math.isfinite(data)
        case list():
            return any(map(_has_no_json, cast("list[object]", data)))
        case dict():
            return any(map(_has_no_json, cast("dict[str, object]", data).values()))
        case _:
            return False


def _meant(annotation: Any, data: object) -> str:
    """The nearest word of a closed list, where one is near."""
    if get_origin(annotation) is not Literal or not isinstance(data, str):
        return ""
    hint = nearest(data, [str(value) for value in get_args(annotation)])
    return f"; {hint}" if hint.startswith("did") else ""


def _shown(data: object) -> str:
    """A value as it would be written, cut where it gets long."""
    text = "null" if data is None else json.dumps(data, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
