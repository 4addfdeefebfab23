"""``wardchain explain``: what a parameter means, from the docstring where it is declared."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulation.cli.exits import DONE, emit, note
from simulation.cli.options import Json

if TYPE_CHECKING:
    from simulation.config.docs import Chapter

WIDTH = 98
FOLDER = Path("configs")


def explain(
    key: Annotated[
        str, typer.Argument(help="Section or parameter, e.g. privacy.epsilon.", show_default=False)
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Write configs/README.md and configs/schema.json anew.")
    ] = False,
    json: Json = False,
) -> int:
    """Explain a section or a parameter, or without KEY the sections there are."""
    from simulation.config import docs

    if write:
        return _write(docs.generated())
    chapters = docs.explain(key) if key else docs.chapters()[:1]
    if json:
        emit({"key": key, "sections": [asdict(chapter) for chapter in chapters]})
        return DONE
    for chapter in chapters:
        _print(chapter)
    if not key:
        print("wardchain explain SECTION tells more.")
    return DONE


def _print(chapter: Chapter) -> None:
    title = ": ".join(part for part in (chapter.path, chapter.kind) if part)
    if title:
        print(title)
    print(textwrap.indent(_filled(chapter.meaning, WIDTH - 2), "  "), end="\n\n")
    for entry in chapter.entries:
        print(f"  {entry.path}  ({entry.type}; default {entry.default})")
        print(textwrap.indent(_filled(entry.meaning, WIDTH - 6), "      "), end="\n\n")


def _filled(text: str, width: int) -> str:
    return "\n\n".join(textwrap.fill(paragraph, width) for paragraph in text.split("\n\n"))


def _write(files: Mapping[str, str]) -> int:
    from simulation.config.errors import ConfigError

    for name, text in files.items():
        path = FOLDER / name
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be written ({error.strerror}); run this in the project's folder"
            ) from error
        note(f"wrote {path}")
    return DONE
