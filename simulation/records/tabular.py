"""Tables of text: header, cells, and the rules by which they become numbers.

A cell that breaks a rule is an error that names file, line, column and rule; nothing is guessed,
dropped or repaired on the way.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.records.errors import DataError
from simulation.records.params import InputParams, LevelsInput, NumberInput
from simulation.records.table import Index, Labels, Rows

Cells = NDArray[np.str_]


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """The columns of a table that are used, as text."""

    path: str
    """The file, for messages."""
    columns: dict[str, Cells]
    """Cells by column, shape (rows,) each, blanks at both ends taken off."""
    lines: Index
    """Line on which each row ends, shape (rows,), counted from 1."""

    def keep(self, rows: NDArray[np.bool_]) -> Text:
        """The rows for which ``rows`` is true."""
        columns = {name: cells[rows] for name, cells in self.columns.items()}
        return Text(self.path, columns, self.lines[rows])

    def error(self, row: int, column: str, rule: str) -> DataError:
        """What is wrong with one cell. The cell itself is private and not shown."""
        return DataError(f"data: {self.path} line {self.lines[row]}, column {column}: {rule}")


def read_text(data: bytes, path: str, wanted: Sequence[str], delimiter: str = ",") -> Text:
    """The wanted columns of a table with a header line.

    Raises:
        DataError: when the bytes are no UTF-8, a wanted column is absent or there twice, a line has
            another number of cells than the header, or there are no rows.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"data: {path} line {line}: is not UTF-8 text (byte {error.start})"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        places = [_place(header, name, path) for name in dict.fromkeys(wanted)]
        rows: list[list[str]] = []
        lines: list[int] = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise DataError(
                    f"data: {path} line {reader.line_num}: {len(row)} cells, the header has "
                    f"{len(header)}"
                )
            rows.append([row[place].strip() for place in places])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"data: {path} line {reader.line_num}: {error}") from error
    if not rows:
        raise DataError(f"data: {path} has no rows below its header")
    columns = zip(dict.fromkeys(wanted), zip(*rows, strict=True), strict=True)
    return Text(path, {name: np.array(cells) for name, cells in columns}, np.array(lines))


def _place(header: list[str], name: str, path: str) -> int:
    if header.count(name) != 1:
        what = "no column" if name not in header else "more than one column"
        asked = "; is the delimiter right?" if len(header) == 1 else ""
        raise DataError(f"data: {path} line 1: {what} {name!r}; it has {', '.join(header)}{asked}")
    return header.index(name)


@dataclass(frozen=True, eq=False, repr=False)
class Encoded:
    """Inputs as numbers, with what is public about them."""

    features: tuple[str, ...]
    x: Rows
    low: Rows
    high: Rows


def encode_inputs(text: Text, inputs: Sequence[InputParams]) -> Encoded:
    """Numbers as they are; levels as indicators, without the first level.

    Raises:
        DataError: at the first cell that is no number in its range, or none of the levels.
    """
    features: list[str] = []
    columns: list[Rows] = []
    low: list[float] = []
    high: list[float] = []
    for given in inputs:
        cells = text.columns[given.name]
        match given:
            case NumberInput():
                features.append(given.name)
                columns.append(_numbers(text, given))
                low.append(given.low)
                high.append(given.high)
            case LevelsInput():
                known = np.isin(cells, given.levels)
                if not known.all():
                    levels = ", ".join(repr(level) for level in given.levels)
                    raise text.error(int(np.argmin(known)), given.name, f"must be one of {levels}")
                for level in given.levels[1:]:
                    features.append(f"{given.name}={level or 'missing'}")
                    columns.append((cells == level).astype(np.float64))
                    low.append(0.0)
                    high.append(1.0)
    return Encoded(tuple(features), np.column_stack(columns), np.array(low), np.array(high))


def _numbers(text: Text, given: NumberInput) -> Rows:
    cells = text.columns[given.name]
    missing = np.isin(cells, ("", "?", "NA"))
    if missing.any() and given.missing is None:
        rule = "is missing, and the input has no value for that (missing: ...)"
        raise text.error(int(np.argmax(missing)), given.name, rule)
    fill = 0.0 if given.missing is None else given.missing
    values = np.array([_float(c) for c in np.where(missing, "0", cells).tolist()])
    values = np.where(missing, fill, values)
    inside = (values >= given.low) & (values <= given.high) | missing  # NaN is inside nothing
    if not inside.all():
        rule = f"must be a number between {given.low:g} and {given.high:g}"
        raise text.error(int(np.argmin(inside)), given.name, rule)
    return values


def _float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def encode_labels(
    text: Text, column: str, positive: Sequence[str], negative: Sequence[str]
) -> Labels:
    """1 for the positive values, 0 for the negative ones.

    Raises:
        DataError: at the first cell that is neither.
    """
    cells = text.columns[column]
    one, zero = np.isin(cells, positive), np.isin(cells, negative)
    if not (one | zero).all():
        values = ", ".join(repr(value) for value in (*negative, *positive))
        raise text.error(int(np.argmin(one | zero)), column, f"label must be one of {values}")
    return one.astype(np.int64)


def number_groups(cells: Cells) -> tuple[Index, tuple[str, ...]]:
    """Each row's group as a number, and the names in order.

    The order is by value where all names are whole numbers, else by text.
    """
    names = sorted({str(cell) for cell in cells.tolist()})
    if all(name.isdecimal() for name in names):
        names.sort(key=int)
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[str(cell)] for cell in cells.tolist()]), tuple(names)
