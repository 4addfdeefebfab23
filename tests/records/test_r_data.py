"""Data frames of R become the CSV that R itself would write."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest
import rdata

from simulation.records.r_data import data_frame_csv
from simulation.records.registry import SOURCES


def test_text_is_quoted_and_what_is_missing_is_empty(tmp_path: Path) -> None:
    """An empty text is quoted, a missing number is not there; a quote inside is doubled."""
    frame = pd.DataFrame(
        {
            "NAME": pd.array(["a", "", "b"], dtype="string[python]"),
            "SAID": pd.array(['so "so"', "x,y", "z"], dtype="string[python]"),
            "AGE": pd.array([69, None, 7], dtype="Int32"),
            "RISK": [0.698, 0.1, 2.5],
        }
    )
    rdata.write_rda(tmp_path / "some.rda", {"SOME": frame})

    found = data_frame_csv((tmp_path / "some.rda").read_bytes(), "SOME")

    assert found.decode().split("\n") == [
        '"NAME","SAID","AGE","RISK"',
        '"a","so ""so""",69,0.698',
        '"","x,y",,0.1',
        '"b","z",7,2.5',
        "",
    ]


@pytest.mark.parametrize("data", [b"", b"<html>moved</html>"])
def test_other_bytes_are_refused(data: bytes) -> None:
    """Whatever the parser says about them becomes one kind of error."""
    with pytest.raises(ValueError, match="cannot be read as an R data file with a data frame IST"):
        data_frame_csv(data, "IST")


@pytest.mark.slow
def test_the_stroke_trial_comes_out_as_pinned(real_data: Path) -> None:
    """The data frame of the R package gives the file that is read, byte for byte: half a minute."""
    (file,) = SOURCES["ist"].files
    found = data_frame_csv((real_data / "ist-stroke" / "IST.rda").read_bytes(), "IST")
    assert hashlib.sha256(found).hexdigest() == file.sha256
