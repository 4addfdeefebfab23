"""A failed run as its author needs it: what, where in the federation, when on the virtual clock."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulation.base.ids import hospital_name
from simulation.base.units import format_us


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run ended early."""

    message: str
    hospital: int | None
    """Where it happened, if at one hospital."""
    round: int | None
    t_us: int
    """Virtual time at which it happened, or of the last event before it."""
    traceback: str

    def data(self) -> dict[str, Any]:
        """The failure without its traceback, for the manifest."""
        return {
            "message": self.message,
            "hospital": self.hospital,
            "round": self.round,
            "t_us": self.t_us,
        }

    def text(self) -> str:
        """The content of the file ``FAILED``."""
        lines = [f"error: {self.message}"]
        if self.hospital is not None:
            lines.append(f"hospital: {self.hospital} ({hospital_name(self.hospital)})")
        if self.round is not None:
            lines.append(f"round: {self.round}")
        lines.append(f"virtual time: {self.t_us} µs ({format_us(self.t_us)})")
        return "\n".join(lines) + "\n\n" + self.traceback


def failure_of(error: BaseException, last_us: int) -> Failure:
    """What an exception says about itself, asking the ones that caused it as well."""

    def first(name: str) -> int | None:
        for link in _chain(error):
            value = getattr(link, name, None)
            if isinstance(value, int):
                return value
        return None

    t_us = first("t_us")
    return Failure(
        message=f"{type(error).__name__}: {error}",
        hospital=first("hospital"),
        round=first("round"),
        t_us=last_us if t_us is None else t_us,
        traceback="".join(traceback.format_exception(error)),
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
