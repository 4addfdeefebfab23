"""``--set a.b=c``: one value written into a configuration from the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from simulation.config.errors import ConfigError, Path
from simulation.config.reader import Document, read_value
from simulation.config.sections import KIND

_SHAPE = re.compile(
    r"(?P<path>[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)=(?P<value>.*)", re.DOTALL
)


def apply(document: Document, overrides: Sequence[str]) -> None:
    """Write overrides into a document, later ones over earlier ones.

    A value is YAML: ``--set model.hidden=[64,32]``, ``--set ledger=none``.

    Raises:
        ConfigError: when one is malformed, or would write into something that is no section.
    """
    for text in overrides:
        path, value = _parse(text)
        write(document, path, value, f"--set {text}")


def path_of(text: str) -> tuple[str, ...]:
    """The steps of ``path.to.field``."""
    return tuple(text.split("."))


def _parse(text: str) -> tuple[tuple[str, ...], object]:
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"--set {text}: malformed; write --set path.to.field=value, e.g. "
            "--set training.learning_rate=0.01"
        )
    if not match["value"].strip():
        raise ConfigError(f"--set {text}: has no value; write {match['path']}=null for none")
    return path_of(match["path"]), read_value(match["value"], f"--set {text}")


def write(document: Document, path: tuple[str, ...], value: object, place: str) -> None:
    """Write one value; messages about it say that it was written at ``place``.

    Raises:
        ConfigError: when the path leads through something that is no section.
    """
    section = document.data
    for depth, key in enumerate(path[:-1], start=1):
        if section.get(key) is None:
            section[key] = {}
            _place(document, path[:depth], place)
        inner = section[key]
        if isinstance(inner, str):
            # The file says `ledger: hash_only`, short for `ledger: {kind: hash_only}`.
            inner = section[key] = {KIND: inner}
        if not isinstance(inner, dict):
            raise ConfigError(
                f"{place}: {'.'.join(path[:depth])} is a value, not a section; set that"
            )
        section = cast("dict[str, object]", inner)
    section[path[-1]] = value
    _place(document, path, place)


def _place(document: Document, path: Path, place: str) -> None:
    """Messages about this value, and all that was below it, name the override."""
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places[path] = place
