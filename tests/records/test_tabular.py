"""Tables by schema: what is wrong is named by file, line, column and rule, and never shown."""

from __future__ import annotations

import gzip
import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.base.rng import Streams
from simulation.records.errors import DataError
from simulation.records.load import load
from simulation.records.params import CsvParams, IidParams, LevelsInput, NaturalParams, NumberInput
from simulation.records.registry import source_of

TABLE = """clinic,person,age,stage,outcome
north,p1,40,I,alive
north,p2,71.5,III,dead
south,p3,,II,alive
south,p3,66,,dead
"""
INPUTS = (
    NumberInput(name="age", low=0, high=120, missing=60.0),
    LevelsInput(name="stage", levels=("I", "II", "III", "")),
)


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """Writes a table and describes it."""

    def build(text: str = TABLE, name: str = "own.csv", **changes: Any) -> CsvParams:
        path = tmp_path / name
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        given: dict[str, Any] = {
            "path": str(path),
            "label": "outcome",
            "positive": ("dead",),
            "negative": ("alive",),
            "inputs": INPUTS,
        }
        return CsvParams(**{**given, **changes})

    return build


def read(params: CsvParams) -> Any:
    return source_of("csv").read(params)


@pytest.mark.parametrize("name", ["own.csv", "own.csv.gz"])
def test_a_table_becomes_numbers(own: Any, name: str) -> None:
    """Numbers as they are, a missing one as its public constant; levels as indicators without the
    first; hospitals and patients by name."""
    table = read(own(name=name, hospital="clinic", patient="person"))
    assert table.features == ("age", "stage=II", "stage=III", "stage=missing")
    assert table.x.tolist() == [[40, 0, 0, 0], [71.5, 0, 1, 0], [60, 1, 0, 0], [66, 0, 0, 1]]
    assert table.y.tolist() == [0, 1, 0, 1]
    assert (table.low.tolist(), table.high.tolist()) == ([0, 0, 0, 0], [120, 1, 1, 1])
    assert (table.site.tolist(), table.sites) == ([0, 0, 1, 1], ("north", "south"))
    assert table.patient.tolist() == [0, 1, 2, 2]


def test_quotes_other_delimiters_and_a_byte_order_mark_are_read(own: Any) -> None:
    """As spreadsheets write them."""
    text = '\ufeffage;stage;outcome\n"40";"I";"alive"\n\n 50 ; II ;dead\n'
    table = read(own(text, delimiter=";"))
    assert table.x[:, 0].tolist() == [40, 50]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("71.5", "old", "line 3, column age: must be a number between 0 and 120"),
        ("71.5", "171.5", "line 3, column age: must be a number between 0 and 120"),
        ("71.5", "nan", "line 3, column age: must be a number between 0 and 120"),
        ("71.5", "inf", "line 3, column age: must be a number between 0 and 120"),
        (",II,", ",IV,", "line 4, column stage: must be one of 'I', 'II', 'III', ''"),
        ("III,dead", "III,lost", "line 3, column outcome: label must be one of 'alive', 'dead'"),
        ("north,p2,", "north,p2,9,", "line 3: 6 cells, the header has 5"),
        ("age,stage", "years,stage", "line 1: no column 'age'; it has clinic, person, years"),
        ("clinic,person", "age,person", "line 1: more than one column 'age'"),
        ("north,p1", ",p1", "line 2, column clinic: must not be empty"),
        ("north,p1", '"north,p1', "unexpected end of data"),
    ],
)
def test_a_broken_rule_is_named(own: Any, before: str, after: str, message: str) -> None:
    """File, line, column and rule."""
    assert before in TABLE
    params = own(TABLE.replace(before, after, 1), hospital="clinic")
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(params)
    assert params.path in str(caught.value)


def test_a_missing_number_without_a_constant_is_an_error(own: Any) -> None:
    """Nothing is imputed behind the user's back."""
    inputs = (NumberInput(name="age", low=0, high=120),)
    with pytest.raises(DataError, match="line 4, column age: is missing"):
        read(own(inputs=inputs))


def test_a_bad_cell_is_not_shown(own: Any) -> None:
    """Cells are private: the message says where, not what."""
    with pytest.raises(DataError) as caught:
        read(own(TABLE.replace("71.5", "31415926")))
    assert "31415926" not in str(caught.value)


def test_an_empty_or_foreign_file_is_an_error(own: Any, tmp_path: Path) -> None:
    """No rows, no UTF-8, no file, no gzip."""
    with pytest.raises(DataError, match="has no rows below its header"):
        read(own("age,stage,outcome\n"))
    with pytest.raises(DataError, match="cannot read the table"):
        read(own(path=str(tmp_path / "absent.csv")))
    params = own()
    Path(params.path).write_bytes(b"age,stage,outcome\n\xff\xfe,I,dead\n")
    with pytest.raises(DataError, match="is not UTF-8"):
        read(params)
    packed = own(name="packed.csv.gz")
    Path(packed.path).write_bytes(b"plain")
    with pytest.raises(DataError, match="cannot read the table"):
        read(packed)


def test_a_digest_can_be_demanded(own: Any) -> None:
    """A study pins its own file as the program pins public ones."""
    digest = hashlib.sha256(TABLE.encode()).hexdigest()
    read(own(sha256=digest.upper()))
    with pytest.raises(DataError, match="the configuration expects"):
        read(own(sha256="0" * 64))


def test_a_table_is_a_source_like_any_other(own: Any) -> None:
    """It is dealt, split by patient and scaled by public ranges."""
    rows = [
        f"c{i % 3},p{i // 2},{20 + i // 2},{'I' if i % 2 else 'II'},{'dead' if i % 4 else 'alive'}"
        for i in range(120)
    ]
    text = "\n".join(["clinic,person,age,stage,outcome", *rows])
    params = own(text, hospital="clinic", normalisation="public")
    natural = load(params, NaturalParams(), None, Streams(1))
    assert [shard.name for shard in natural] == ["c0", "c1", "c2"]
    assert [len(shard.train_y) for shard in natural] == [32] * 3
    by_person = load(own(text, patient="person", normalisation="none"), IidParams(), 2, Streams(1))
    for shard in by_person:
        train, test = ({int(age) for age in x[:, 0]} for x in (shard.train_x, shard.test_x))
        assert not train & test
    assert np.abs(natural[0].train_x).max() <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ()}, "inputs: a table needs"),
        ({"inputs": (*INPUTS, INPUTS[0])}, "inputs: each column may be named once"),
        ({"label": "age"}, "inputs: each column may be named once, and the label"),
        ({"positive": ("alive",)}, "positive: needs at least one value"),
        ({"delimiter": ", "}, "delimiter: must be one character"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(
    own: Any, changes: dict[str, Any], message: str
) -> None:
    """Before any file is opened."""
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        own(**changes)


def test_columns_that_say_nothing_are_refused() -> None:
    """A range without width, a category without a choice."""
    with pytest.raises(ValueError, match="low: must be below high in age"):
        NumberInput(name="age", low=1, high=1)
    with pytest.raises(ValueError, match="levels: stage needs at least two"):
        LevelsInput(name="stage", levels=("I", "I"))


# ---- damage -------------------------------------------------------------------------------------


def test_a_wrong_separator_is_guessed_at(own: Any) -> None:
    """One cell in the header: the message asks about the delimiter."""
    with pytest.raises(DataError, match=r"line 1: no column 'age'.*is the delimiter right\?"):
        read(own(delimiter=";"))


def test_mixed_encodings_are_named_by_their_line(own: Any) -> None:
    """Latin-1 in the middle of a file of UTF-8."""
    params = own()
    Path(params.path).write_bytes(TABLE.encode().replace(b"south,p3,,II", b"s\xfcd,p3,,II"))
    with pytest.raises(DataError, match=r"own\.csv line 4: is not UTF-8 text \(byte \d+\)"):
        read(params)


@pytest.mark.parametrize("cut", [5, 20, -6])
def test_a_truncated_or_damaged_gzip_is_one_error(own: Any, cut: int) -> None:
    """Cut off at the end, or a byte turned over inside."""
    params = own(name="own.csv.gz")
    whole = Path(params.path).read_bytes()
    Path(params.path).write_bytes(whole[:cut])
    with pytest.raises(DataError, match="cannot read the table"):
        read(params)
    Path(params.path).write_bytes(whole[:30] + bytes([whole[30] ^ 255]) + whole[31:])
    with pytest.raises(DataError, match=r"cannot read the table|is not UTF-8"):
        read(params)


def test_a_patient_who_is_there_twice_is_counted(own: Any) -> None:
    """The same patient with the same values: usable, so a warning with count, line and handling."""
    row = "north,p2,71.5,III,dead\n"
    table = read(own(TABLE + row + row, patient="person"))
    assert len(table.y) == 6
    (note,) = table.notes
    assert "2 rows repeat an earlier row of the same patient" in note
    assert "the first on line 6); they are kept" in note
    assert not read(own(TABLE + row)).notes, "without patients, equal rows may be two people"


def test_times_and_subgroups_are_columns_of_the_table(own: Any) -> None:
    """For a split by time and for metrics by group; a wrong date is named, many values refused."""
    text = TABLE.replace("outcome\n", "outcome,seen\n").replace("alive\n", "alive,2020-05-01\n")
    text = text.replace("dead\n", "dead,2021-02-03T04:05\n")
    table = read(own(text, time="seen", subgroups=("clinic",)))
    assert (table.time_min[1] - table.time_min[0]) == 278 * 1440 + 245
    assert table.groups["clinic"].tolist() == ["north", "north", "south", "south"]
    with pytest.raises(DataError, match="line 2, column seen: must be a date or time, ISO 8601"):
        read(own(text.replace("2020-05-01", "1 May"), time="seen"))
    many = "age,stage,outcome\n" + "".join(f"{20 + i},I,alive\n" for i in range(30))
    with pytest.raises(DataError, match="column age: has 30 values, too many for subgroups"):
        read(own(many, subgroups=("age",)))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.integers(0, len(TABLE)), cut=st.integers(0, 6), put=st.binary(max_size=5))
def test_no_damage_breaks_the_reader(own: Any, at: int, cut: int, put: bytes) -> None:
    """Whatever bytes are put anywhere into a table, it is read or refused with a `DataError`."""
    params = own(hospital="clinic", patient="person")
    data = TABLE.encode()
    Path(params.path).write_bytes(data[:at] + put + data[at + cut :])
    with suppress(DataError):
        table = read(params)
        assert np.isfinite(table.x).all()
        assert set(table.y.tolist()) <= {0, 1}
