"""Data frames in the files that R saves, written as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

_ABSENT = "\x00"
"""Stands for a missing value until quotes are set; no text of a data frame has this character."""


def data_frame_csv(data: bytes, name: str) -> bytes:
    """The data frame ``name`` of an R data file, as R's own ``write.csv`` with ``na=""`` does it.

    Text is quoted, numbers are not, and nothing stands where a value is missing. Reading takes half
    a minute for 20,000 rows: the library is pure Python, and its licence lets everybody use it.

    Raises:
        ValueError: when the bytes are no R data file, or hold no such data frame.
    """
    import rdata

    try:
        found: Any = rdata.read_rda(io.BytesIO(data))
        frame = found[name]
        table: str = frame.to_csv(
            index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n", na_rep=_ABSENT
        )
    except Exception as error:  # the library raises whatever its parser comes across
        raise ValueError(
            f"cannot be read as an R data file with a data frame {name}: {error}"
        ) from error
    return table.replace(f'"{_ABSENT}"', "").encode()
