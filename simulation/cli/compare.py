"""``wardchain compare``: two runs side by side."""

from __future__ import annotations

import json as json_text
import math
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from simulation.cli.exits import DONE, emit
from simulation.cli.options import Json, Run

ROUNDING = 1e-12
"""Differences that only the order of additions makes."""
Second = Annotated[Path, typer.Argument(help="The run to compare it with.", show_default=False)]


def compare(run_a: Run, run_b: Second, json: Json = False) -> int:
    """Show how two runs differ: configuration, metrics over shared seeds, first parting event."""
    from simulation.config.errors import ConfigError
    from simulation.runs.directory import finished
    from simulation.runs.seal import DONE as SEALED

    for place in (run_a, run_b):
        if not (finished(place) / SEALED).is_file():
            raise ConfigError(f"{place}: the run failed, so there is nothing to compare")
    found = _comparer()(run_a, run_b)
    if json:
        emit(_finite(asdict(found)))
    else:
        print("\n".join(_lines(found)))
    return DONE


def _lines(found: Any) -> Iterator[str]:
    yield "configuration"
    for setting in found.settings:
        yield f"  {setting.path}: {_value(setting.first)} -> {_value(setting.second)}"
    if not found.settings:
        yield "  the same"
    yield f"\nmetrics after the last round; differences over {len(found.seeds)} shared seeds"
    width = max((len(metric.name) for metric in found.metrics), default=0)
    for metric in found.metrics:
        sides = f"{_number(metric.first):>12} {_number(metric.second):>12}"
        yield f"  {metric.name:<{width}} {sides}{_difference(metric.pairs)}"
    yield "\ntrace"
    if not found.same_seed:
        yield "  other seeds, so the traces have nothing in common"
    elif found.parting is None:
        yield "  equal, event by event"
    else:
        yield f"  the first event that differs is number {found.parting.number}"
        for name, event in (("A", found.parting.first), ("B", found.parting.second)):
            yield f"  {name}: {'has ended' if event is None else json_text.dumps(event)}"


def _difference(pairs: Any) -> str:
    if pairs is None or pairs.difference.n < 2:
        return ""
    d = pairs.difference
    if max(abs(d.low), abs(d.high)) <= ROUNDING:
        return "   equal on every seed"
    effect = "the same on every seed" if math.isinf(pairs.effect) else f"effect {pairs.effect:+.2f}"
    return f"   {d.mean:+.4g} [{d.low:+.4g}, {d.high:+.4g}], {effect}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _value(value: object) -> str:
    return json_text.dumps(value, ensure_ascii=False)


def _finite(data: Any) -> Any:
    """The same data with what JSON cannot say as text."""
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data


def _comparer() -> Any:
    """What compares. It lives beside the package, with the statistics of the experiments.

    Raises:
        ConfigError: when the experiments are not there.
    """
    from simulation.config.errors import ConfigError

    try:
        return import_module("experiments.compare").compare_runs
    except ImportError as error:
        raise ConfigError(
            f"comparing needs the folder experiments/ of a clone ({error}); run it there"
        ) from error
