"""Parameters of a sweep: which points one file stands for, in three sizes, and how exactly.

`simulation.config.study` turns them into experiments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

from simulation.config.errors import nearest

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_SHARE = re.compile(r"(\d+(?:\.\d*)?)\s*%")
UNCOMPARED = "any"
"""The tolerance of what depends on the machine: shown, never compared."""


class Size(Enum):
    """How large a study is run."""

    SMOKE = "smoke"
    """Shows that everything runs; says nothing about the numbers."""
    QUICK = "quick"
    """The file as it stands; the committed references are made with it."""
    FULL = "full"
    """The grid of a paper, for a cluster."""


@dataclass(frozen=True, kw_only=True)
class SizeParams:
    """What another size changes; the rest stays as the file has it."""

    seeds: tuple[int, ...] | None = None
    """Seeds in place of the file's."""
    set: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters with another value, by path, as after ``--set``: ``federation.rounds: 2``."""
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, "tuple[Any, ...]"])
    """Axes with other values, by name; of an axis of named variants, the names to keep."""

    def __post_init__(self) -> None:
        for path in self.set:
            _check_path("set", path)
        for name, values in self.axes.items():
            if not values:
                raise ValueError(f"axes: {name} is empty; list at least one value, or leave it out")


@dataclass(frozen=True, kw_only=True)
class SweepParams:
    """Many experiments from one file: every combination of the axes' values is a point."""

    axes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Name to values. ``path.to.field: [values]`` varies one parameter; ``word: {label: {path:
    value, …}, …}`` varies several at once, under names. The last axis varies fastest."""
    without: tuple[Mapping[str, Any], ...] = ()
    """Combinations to leave out: axis to value or list of values; all that are named must match."""
    smoke: SizeParams | None = None
    """The smallest size: seconds, to show that everything runs."""
    full: SizeParams | None = None
    """The size of a paper, for a cluster; left out, it is the file as it stands."""

    def __post_init__(self) -> None:
        for name, values in self.axes.items():
            _check_axis(name, values)
        for size in (self.smoke, self.full):
            for name, values in (size.axes if size is not None else {}).items():
                self._check_names("axes", name)
                self._check_labels("axes", name, values)
        for combination in self.without:
            if not combination:
                raise ValueError("without: an empty combination leaves everything out; remove it")
            for name, values in combination.items():
                self._check_names("without", name)
                self._check_labels("without", name, listed(values))

    def labels(self, name: str, size: SizeParams | None) -> Sequence[Any]:
        """The values of an axis in a size; of an axis of named variants, their names."""
        if size is not None and name in size.axes:
            return size.axes[name]
        return list(self.axes[name])

    def changes(self, name: str, label: Any) -> Mapping[str, Any]:
        """What a value of an axis writes into the configuration, by path."""
        axis = self.axes[name]
        if isinstance(axis, Mapping):
            return cast("Mapping[str, Mapping[str, Any]]", axis)[label]
        return {name: label}

    def fields(self) -> frozenset[str]:
        """Paths of all parameters that some axis writes."""
        return frozenset(
            path
            for name, axis in self.axes.items()
            for label in axis
            for path in self.changes(name, label)
        )

    def keeps(self, point: Mapping[str, Any]) -> bool:
        """Whether a combination is not left out."""
        return not any(
            all(point[name] in listed(values) for name, values in combination.items())
            for combination in self.without
        )

    def _check_names(self, where: str, name: str) -> None:
        if name not in self.axes:
            raise ValueError(
                f"{where}: no axis is called {name!r}; {nearest(name, list(self.axes))}"
            )

    def _check_labels(self, where: str, name: str, labels: Sequence[Any]) -> None:
        axis = self.axes[name]
        for label in labels if isinstance(axis, Mapping) else ():
            if label not in axis:
                known = [str(known) for known in cast("Mapping[str, Any]", axis)]
                raise ValueError(
                    f"{where}: axis {name} has no variant {label!r}; {nearest(str(label), known)}"
                )


@dataclass(frozen=True, kw_only=True)
class ToleranceParams:
    """How far a stem's table may be from its reference. What is not named must be equal.

    By column, or ``metric`` or ``scope/metric`` in a table with such columns. A column's ``_sd``,
    ``_low`` and ``_high`` have its tolerance with the same seeds, and are not compared with other
    ones. A number is absolute, ``5%`` a share of the reference, ``any`` is never compared (wall
    time).
    """

    same_seeds: Mapping[str, float | str] = field(default_factory=dict[str, "float | str"])
    """With the reference's seeds: what arithmetic may differ from one processor to the next."""
    other_seeds: Mapping[str, float | str] = field(default_factory=dict[str, "float | str"])
    """With another list of seeds: how far means over seeds may move."""

    def __post_init__(self) -> None:
        for name in ("same_seeds", "other_seeds"):
            for column, value in getattr(self, name).items():
                try:
                    Tolerance.parse(value)
                except ValueError as error:
                    raise ValueError(f"{name}: {column} {error}") from error


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a number may be from the expected one."""

    absolute: float = 0.0
    share: float = 0.0
    """Of the expected number's size."""

    @classmethod
    def parse(cls, value: float | str) -> Tolerance:
        """What a configuration says: a number, ``5%``, or ``any``.

        Raises:
            ValueError: when it is neither, or negative.
        """
        if value == UNCOMPARED:
            return cls(absolute=float("inf"))
        if isinstance(value, str):
            match = _SHARE.fullmatch(value.strip())
            if match is None:
                raise ValueError(f"must be a number, a share such as 5%, or any, got {value!r}")
            return cls(share=float(match[1]) / 100)
        if not value >= 0:
            raise ValueError(f"must not be negative, got {value}")
        return cls(absolute=value)

    def allows(self, expected: float, got: float) -> bool:
        """Whether the two are near enough."""
        # Decimal fractions read back from a file are a little off: 0.72 − 0.70 is 0.020000…018.
        room = max(self.absolute, self.share * abs(expected)) * (1 + 1e-9)
        return expected == got or abs(expected - got) <= room

    def __str__(self) -> str:
        if self.share:
            return f"{100 * self.share:g}%"
        return UNCOMPARED if self.absolute == float("inf") else f"{self.absolute:g}"


def listed(values: Any) -> Sequence[Any]:
    """A value as a list of one; a list as it is."""
    return cast("list[Any]", values) if isinstance(values, list) else [values]


def _check_axis(name: str, values: object) -> None:
    if isinstance(values, Mapping):
        variants = cast("Mapping[str, object]", values)
        if not variants:
            raise ValueError(f"axes: {name} has no variants; name at least one, or leave it out")
        for label, changes in variants.items():
            if not isinstance(changes, Mapping):
                raise ValueError(
                    f"axes: {name}: {label} must be 'path.to.field: value' lines; "
                    f"write {{}} for the file as it stands"
                )
            for path in cast("Mapping[str, object]", changes):
                _check_path("axes", path)
        return
    if not isinstance(values, list) or not values:
        raise ValueError(
            f"axes: {name} must be a list of values, or variants by name, each with "
            "'path.to.field: value' lines"
        )
    _check_path("axes", name)
    found = cast("list[object]", values)
    if any(value in found[:i] for i, value in enumerate(found)):
        raise ValueError(f"axes: {name} lists a value twice; remove it")


def _check_path(where: str, path: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValueError(f"{where}: {path!r} is no parameter; write path.to.field, e.g. {_EXAMPLE}")


_EXAMPLE = "training.learning_rate"
