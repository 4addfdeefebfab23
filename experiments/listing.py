"""The list of stems in ``experiments/README.md``, made from the stems and their references."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments import stem as stem_parts
from experiments.stem import config_of, stem_module, stems
from experiments.suite import read_reference_manifest
from experiments.tables import read_table

README = stem_parts.ROOT / "experiments" / "README.md"
BEGIN = "<!-- Written by `python -m experiments --write-readme`. -->"
END = "<!-- End of what is written. -->"
_COLUMNS = ("stem", "claim", "verdict", "config", "minutes", "figure", "reference")
_HEAD = ("| " + " | ".join(_COLUMNS) + " |", "|---|---|---|---|---:|---|---|")


def write_readme(path: Path = README) -> Path:
    """Write the list anew, and leave the rest of the page as it is."""
    path.write_text(with_list(path.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def with_list(page: str) -> str:
    """A page with the list of today between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, f"the page has no {BEGIN} … {END}"
    return (
        "\n".join([before + BEGIN, "", *_HEAD, *(_row(stem) for stem in stems()), "", END]) + after
    )


def _row(stem: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(stem)) + " |"


def _cells(stem: str) -> Iterator[str]:
    module, config = stem_module(stem), config_of(stem)
    yield f"`{stem}`"
    yield module.CLAIM
    if not (stem_parts.REFERENCE / f"{stem}.csv").is_file():
        todo = f"no reference yet; `python -m experiments {stem} --update` makes it"
        yield from (todo, *[""] * (len(_COLUMNS) - 3))
        return
    verdict = module.verdict(read_table(stem_parts.REFERENCE / f"{stem}.csv"))
    yield f"**{'holds' if verdict.holds else 'does not hold'}**: {verdict.because}"
    yield "none" if config is None else f"[yaml](../configs/{stem}.yaml)"
    minutes = read_reference_manifest(stem)["minutes"]
    yield f"{minutes:g}" if minutes else "< 0.1"
    yield f"[svg](../results/reference/{stem}.svg)"
    links = (("csv", "csv"), ("manifest", "manifest.json"))
    yield ", ".join(f"[{name}](../results/reference/{stem}.{kind})" for name, kind in links)
