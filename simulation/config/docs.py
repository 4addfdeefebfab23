"""Documentation made from the parameter classes: what `wardchain explain` prints and writes.

The docstring below a parameter, in the module that uses it, is the only place that describes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, is_dataclass
from typing import Any, cast

from pydantic import TypeAdapter

from simulation.config.dump import to_data
from simulation.config.errors import ConfigError, nearest
from simulation.config.experiment import Configuration
from simulation.config.sections import (
    KIND,
    Parameter,
    by_kind,
    describe,
    documentation,
    kind_of,
    parameters,
    summary,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One parameter as a reader meets it."""

    path: str
    """Dotted path in a configuration."""
    kind: str | None
    """The kind of the section that it belongs to, where the section has kinds."""
    type: str
    """What may be written."""
    default: str
    """What holds when it is left out; ``required`` when it must be given."""
    meaning: str
    """Its docstring."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One section, in one of its kinds."""

    path: str
    """Dotted path; empty for the top of the file."""
    kind: str | None
    meaning: str
    entries: tuple[Entry, ...]


def chapters() -> list[Chapter]:
    """All sections in the order of a configuration file, each kind a chapter."""
    return list(_chapters((Configuration,), ""))


def explain(key: str) -> list[Chapter]:
    """The chapters about a key: a section's, or one with the parameter alone for each kind.

    Raises:
        ConfigError: when there is no such key.
    """
    everything = chapters()
    below = [c for c in everything if c.path == key or c.path.startswith(f"{key}.")]
    if below:
        return below
    found = [
        Chapter(chapter.path, chapter.kind, chapter.meaning, (entry,))
        for chapter in everything
        for entry in chapter.entries
        if entry.path == key
    ]
    if not found:
        known = sorted({e.path for c in everything for e in c.entries})
        hint = nearest(key, known)
        if not hint.startswith("did"):
            hint = f"the sections are {', '.join(parameters(Configuration))}"
        raise ConfigError(f"{key}: no such parameter; {hint}")
    return found


def _chapters(sections: Sequence[type], path: str) -> Iterator[Chapter]:
    """The kinds of one section, then what lies below them, once however many kinds have it."""
    below: dict[str, list[type]] = {}
    for section in sections:
        yield _chapter(section, path)
        for name, parameter in parameters(section).items():
            known = below.setdefault(name, [])
            known += [inner for inner in parameter.sections if inner not in known]
    for name, inner in below.items():
        yield from _chapters(inner, f"{path}.{name}" if path else name)


def _chapter(section: type, path: str) -> Chapter:
    known = parameters(section)
    docs = documentation(section)
    entries = tuple(
        Entry(
            path=f"{path}.{name}" if path else name,
            kind=kind_of(section),
            type=_type(parameter),
            default=_default(parameter),
            meaning=docs.get(name, ""),
        )
        for name, parameter in known.items()
        if name != KIND
    )
    return Chapter(path, kind_of(section), summary(section), entries)


def _type(parameter: Parameter) -> str:
    kinds = list(by_kind(parameter.sections))
    if not parameter.sections:
        return describe(parameter.annotation)
    text = f"kind: {', '.join(kinds)}" if kinds else "a section"
    if parameter.many:
        return f"a list of sections, each of {text}"
    return f"{text}, or null" if parameter.optional else text


def _default(parameter: Parameter) -> str:
    default = parameter.default
    if default is MISSING:
        return "required"
    if is_dataclass(default) and not isinstance(default, type):
        return kind_of(type(default)) or "as below"
    return json.dumps(to_data(default), ensure_ascii=False)


# ---- Markdown -----------------------------------------------------------------------------------

_INTRODUCTION = """\
<!-- Written by `wardchain explain --write`. Edit the docstrings of the parameters instead. -->

# Configuration

A configuration is a YAML file. What it leaves out has the default below; what it gets wrong is
refused with the line, the field and the remedy, before anything is written.

```sh
wardchain check configs/quickstart.yaml                         # all parameters, and an estimate
wardchain run configs/quickstart.yaml --set privacy.epsilon=1   # change one parameter
wardchain run configs/quickstart.yaml --seed 1 --seed 2         # other seeds
wardchain explain privacy                                       # this text in the terminal
```

* A section that comes in kinds names one: `ledger: {kind: none}`, or short, `ledger: none`.
* `--set path.to.field=value` takes YAML values: `--set model.hidden=[64,32]`,
  `--set network.latency=null`.
* `1e-5` is a number; `yes`, `no`, `on` and `off` are words, `true` and `false` are booleans; a key
  written twice, an unknown key and a tab are errors.
* Editors that know JSON Schema complete and check a file that starts with
  `# yaml-language-server: $schema=schema.json`.
* Results lie under `results/runs/<name>/<hash>/seed-<n>/`; the hash is that of the resolved
  configuration without its seeds, so it changes exactly when the experiment does.
"""


def markdown() -> str:
    """All parameters as one Markdown page."""
    parts = [_INTRODUCTION]
    seen = ""
    for chapter in chapters():
        if chapter.path != seen:
            parts.append(f"\n## `{chapter.path}`\n")
            seen = chapter.path
        if chapter.kind is not None:
            parts.append(f"\n### `{chapter.path}: {chapter.kind}`\n")
        if chapter.path:
            parts.append(f"\n{chapter.meaning}\n")
        else:
            parts.append("\n## The file\n")
        parts.extend(_table(chapter.entries))
    return "".join(parts)


def _table(entries: Sequence[Entry]) -> Iterator[str]:
    if not entries:
        return
    yield "\n| parameter | may be | default | meaning |\n|---|---|---|---|\n"
    for entry in entries:
        name = entry.path.rpartition(".")[2]
        default = entry.default if entry.default == "required" else f"`{entry.default}`"
        cells = (f"`{name}`", entry.type, default, entry.meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


# ---- JSON Schema --------------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """The schema of a configuration file (JSON Schema 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Wardchain experiment",
        **_section_schema(Configuration),
    }


def schema_text() -> str:
    """`json_schema` as the file's text."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _section_schema(section: type) -> dict[str, Any]:
    docs = documentation(section)
    known = parameters(section)
    required = [name for name, parameter in known.items() if parameter.required]
    schema: dict[str, Any] = {
        "type": "object",
        "description": summary(section),
        "additionalProperties": False,
        "properties": {
            name: _parameter_schema(parameter, docs.get(name, ""))
            for name, parameter in known.items()
        },
    }
    return schema | ({"required": required} if required else {})


def _parameter_schema(parameter: Parameter, meaning: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": meaning} if meaning else {}
    kinds = by_kind(parameter.sections)
    options: list[dict[str, Any]] = []
    if kinds:
        options = [{"type": "string", "enum": list(kinds)}]
        options += [_kind_schema(section, parameter) for section in kinds.values()]
    if kinds and parameter.many:
        schema |= {"type": "array", "items": {"anyOf": options}, "default": []}
    elif kinds:
        schema["anyOf"] = options + ([{"type": "null"}] if parameter.optional else [])
    elif parameter.sections:
        schema = _section_schema(parameter.sections[0]) | schema
    else:
        schema = TypeAdapter(parameter.annotation).json_schema() | schema
    if not parameter.required and not parameter.sections:
        schema["default"] = to_data(parameter.default)
    return schema


def _kind_schema(section: type, parameter: Parameter) -> dict[str, Any]:
    """A section with its ``kind``, which may be left out where the default has the same."""
    schema = _section_schema(section)
    if type(parameter.default) is not section:
        schema["required"] = [KIND, *cast("list[str]", schema.get("required", []))]
    return schema


def generated() -> Mapping[str, str]:
    """The generated files below ``configs/`` and their text."""
    return {"README.md": markdown(), "schema.json": schema_text()}
