"""The one exception of this package: wrong input, said so that its author can mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

Path = tuple[str | int, ...]
"""Where a value sits in a configuration: keys, and positions in lists."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    path: Path
    """The field; empty for the configuration as a whole."""
    message: str
    """What is wrong, then what to do."""


class ConfigError(ValueError):
    """A configuration that cannot be used.

    Every problem is one line of the message: where it was written (file and line, or the
    ``--set``), the path to the field, what is wrong and what to do about it.
    """

    def __init__(self, lines: str | Sequence[str]) -> None:
        self.lines = (lines,) if isinstance(lines, str) else tuple(lines)
        super().__init__("\n".join(self.lines))


def dotted(path: Path) -> str:
    """A path as people write it: ``model.hidden[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def nearest(name: str, known: Sequence[str]) -> str:
    """What to do about an unknown name: the one that was probably meant, or all that exist."""
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose one of {', '.join(known)}"
