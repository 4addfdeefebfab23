"""From sections to one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


@dataclass(frozen=True)
class Facts:
    """Names and values, one line each."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Grid:
    """A table whose columns can be sorted."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Picture:
    """A figure, held inside the page."""

    svg: bytes
    alt: str

    @property
    def source(self) -> str:
        """The SVG as a data address, so that identifiers of two figures cannot meet."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


@dataclass(frozen=True)
class Bars:
    """Shares of a whole by row: where the time of each round went."""

    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float], str]]
    """Label, share of each name from 0 to 1, and the whole in words."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Command:
    """Something to type."""

    text: str


Block = Facts | Grid | Picture | Bars | Text | Command


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]
    verdict: str | None = None
    """``holds``, ``does not hold``, ``skipped`` or ``failed``, shown as a mark beside the title."""


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    lead: str
    sections: Sequence[Section] = field(default_factory=list[Section])


def render(page: Page) -> str:
    """The page as HTML; the same page gives the same text."""
    environment = Environment(
        loader=PackageLoader("experiments.report", "."),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["anchor"] = anchor
    return environment.get_template("page.html").render(page=page)


def write(page: Page, path: Path) -> Path:
    """Write a page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(render(page), encoding="utf-8")
    unfinished.replace(path)
    return path


def shown(value: object) -> str:
    """A value as people read it: floats with four significant digits, nothing as a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        whole = value == int(value) if abs(value) < 1e15 else False
        return f"{value:,.0f}" if whole else f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def anchor(title: str) -> str:
    """A title as the name of a place in the page."""
    return "".join(c if c.isalnum() else "-" for c in title.lower())
