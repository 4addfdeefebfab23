"""Strict YAML: what a file says is what its author meant, or an error with line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.config.errors import ConfigError
from simulation.config.reader import is_text, read, read_text, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1e5", 1e5),
        ("-.5", -0.5),
        ("2.", 2.0),
        ("12", 12),
        ("+3", 3),
        ("010", 10),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("0x10", "0x10"),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
        ("[1, a, 2.5]", [1, "a", 2.5]),
    ],
)
def test_a_plain_word_means_what_it_looks_like(text: str, value: object) -> None:
    """`1e-5` is a number; yes and no are words; nothing is a date or a base-60 number."""
    found = read_text(f"a: {text}\n", "f.yaml").data["a"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a: written twice, first in line 1"),
        ("a:\n  b: 1\n  b: 2\n", "f.yaml:3:3: a.b: written twice, first in line 2"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: a tab where YAML allows only spaces"),
        ("a: b: c\n", "f.yaml:1:5: not YAML"),
        ("a: [1, 2\n", "f.yaml:2:1: not YAML"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: not YAML"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: the tag"),
        ("? [1, 2]\n: 3\n", "f.yaml:1:3: a key must be a word"),
        ("- 1\n", "f.yaml:1:1: a configuration is a list of 'key: value' lines"),
        ("just text\n", "f.yaml:1:1: a configuration is a list of 'key: value' lines"),
        ("", "f.yaml: is empty"),
        ("# only a comment\n", "f.yaml: is empty"),
        ("a: &x {b: *x}\n", "nested deeper than any parameter"),
        ("a: \x00\n", "f.yaml: is not text that YAML allows"),
    ],
)
def test_bad_yaml_is_refused_with_line_and_column(text: str, message: str) -> None:
    """Tabs, duplicate keys and bad YAML give file:line:column."""
    with pytest.raises(ConfigError) as caught:
        read_text(text, "f.yaml")

    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a folder and a file that is not UTF-8 are wrong input, not a traceback."""
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Zürich\n".encode("latin-1"))

    for path, words in [
        (tmp_path / "absent.yaml", "cannot be read"),
        (tmp_path, "cannot be read"),
        (latin, "is not UTF-8 text .byte 7"),
    ]:
        with pytest.raises(ConfigError, match=words) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_places_remember_where_each_value_was_written() -> None:
    """A message about a field can name its line, or that of the section around it."""
    document = read_text("a:\n  b: 1\n  c: [1,\n    2]\n", "f.yaml")

    assert document.place(("a", "b")) == "f.yaml:2"
    assert document.place(("a", "c", 1)) == "f.yaml:4"
    assert document.place(("a", "absent")) == "f.yaml:1"
    assert document.place(("absent",)) == "f.yaml"


@given(st.text("0123456789.+-_:eExnulltrueFalsyoi~", min_size=1))
def test_is_text_agrees_with_the_reader(plain: str) -> None:
    """`is_text` says whether a word comes back as text, so that the writer knows when to quote."""
    try:
        value = read_value(plain, "f.yaml")
    except ConfigError:
        return
    if not isinstance(value, (list, dict)):
        assert is_text(plain) == isinstance(value, str)
