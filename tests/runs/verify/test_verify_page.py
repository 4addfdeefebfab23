"""The audit as a page: one file, nothing from elsewhere, all that the audit says."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from simulation.runs.page import Markup, code, page, paragraph, section, table, verdict
from simulation.runs.tamper import tamper
from simulation.runs.verify import verify_run
from simulation.runs.verify_report import verify_page

VOID = {"meta"}


class Outline(HTMLParser):
    """Checks that every tag is closed in order, and collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def read(html: str) -> str:
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    return " ".join(" ".join(outline.words).split())


def test_a_page_is_self_contained_and_well_formed(pristine: Path) -> None:
    """Offline, dark and light, on paper and on a phone: one file without references."""
    html = verify_page(verify_run(pristine))

    read(html)
    assert not re.search(r"(src|href)=|url\(|@import|<script", html)
    for feature in ("prefers-color-scheme:dark", "@media print", 'name="viewport"'):
        assert feature in html


def test_the_page_of_a_sound_run(pristine: Path) -> None:
    """Verdict, what was looked at, evidence, bytes by kind, chain id."""
    report = verify_run(pristine)

    told = read(verify_page(report))

    assert "Everything agrees" in told
    assert "certificates 66" in told
    assert "task.reveal 9" in told
    assert str(report.chain_id) in told
    assert "None: nobody was caught straying." in told


def test_the_page_of_a_damaged_run_names_the_place(pristine: Path, tmp_path: Path) -> None:
    """Height, hospital and field of each disagreement, the first one first."""
    done = tamper(pristine, "certificate-swapped", 0, tmp_path / "copy")

    told = read(verify_page(verify_run(done.run)))

    assert "1 disagreement " in told
    assert f"{done.damage.height} {done.damage.hospital} certificate" in told


def test_what_is_put_in_is_text() -> None:
    """A file's name cannot become markup."""
    evil = "<img src=x onerror=alert(1)>"
    html = page(
        evil,
        code(evil),
        verdict(False, evil, evil),
        section(evil, paragraph(evil), table((evil,), [(evil,)], numbers=(0,))),
    )

    assert "<img" not in html
    assert read(html).count(evil) == 9
    assert isinstance(code("x"), Markup)
