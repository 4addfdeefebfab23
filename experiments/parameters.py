"""The constants of the model: value, unit, meaning and where each is from (table T1).

All of it is read from the parameter classes, which the program itself uses: defaults are those of
the dataclasses, meanings the docstrings below the fields, and sources what those name. Where
nothing outside this project says how large a constant is or what it means, it has to be listed
below as set by the authors, so that none gets in without somebody having said so.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from experiments.stem import Table, Verdict
from simulation.config.sweep import Size

CLAIM = (
    "Every default that is a number, of costs, network, PBFT, ledger, rounds and DP-SGD, has a "
    "documented meaning, and a source that measures, publishes or defines it or the authors' mark"
)
KEYS = ("parameter",)

AUTHORS, MEASURED, PUBLISHED, DEFINED = "authors", "measured", "published", "defined"
ORIGINS = {
    MEASURED: (style.GREEN, "green, measured on one core"),
    PUBLISHED: (style.BLUE, "blue, value published there"),
    DEFINED: (style.PURPLE, "violet, defined there, its value set by the authors"),
    AUTHORS: (style.MUTED, "grey, set by the authors"),
}
"""Where a constant is from, how that is drawn, and what it is called."""

SET_BY_AUTHORS = {
    "crypto": ("execute_us", "cores"),
    "compute": (
        "device_gflops", "private_factor", "step_overhead_us", "round_overhead_ms", "speed_spread",
    ),
    "network": ("loss", "duplicate", "reorder", "reorder_ms"),
    "network.profile": ("jitter_ms", "uplink_mbps", "downlink_mbps"),
    "consensus": ("batch_max_bytes", "batch_max_age_ms", "heartbeat_ms", "transfer_batches"),
    "ledger": (
        "expiry_blocks", "commit_blocks", "reveal_blocks", "reveal_deadline_s",
        "aggregate_mb_per_s",
    ),
    "federation": ("rounds", "round_deadline_s", "min_updates"),
}  # fmt: skip
"""Constants that nothing outside this project defines or sizes, by part."""
UNITS = {
    "_us": "µs", "_mb_per_s": "MB/s", "_ms": "ms", "_s": "s", "_mbps": "Mbit/s",
    "_gflops": "GFLOP/s", "_bytes": "B", "_blocks": "blocks", "_requests": "requests",
    "_batches": "batches",
}  # fmt: skip
"""Names end with their units; what has none is a count or a ratio."""
PARTS = {
    "crypto": "Cryptography and execution",
    "compute": "Training",
    "network.profile": "Network, by profile (one-way delays)",
    "network": "Network, all profiles",
    "consensus": "PBFT",
    "ledger": "Ledger (commit–reveal)",
    "federation": "Federation",
    "privacy": "Privacy (DP-SGD)",
}


def compute(size: Size) -> Table:
    """One row for each constant; the same in all sizes, for nothing is run."""
    del size
    return [*_constants()]


def _constants() -> Iterator[dict[str, Any]]:
    from simulation.consensus.pbft.params import PbftParams
    from simulation.federation.params import FederationParams
    from simulation.learning.params import ComputeParams, DpSgdParams
    from simulation.network.params import PROFILES, NetworkParams
    from simulation.nodes.costs import CryptoCosts
    from simulation.nodes.params import CommitRevealLedger

    yield from _section("crypto", CryptoCosts)
    yield from _section("compute", ComputeParams)
    for name, profile in PROFILES.items():
        yield from _profile(name, profile)
    yield from _section("network", NetworkParams)
    yield from _section("consensus", PbftParams)
    yield from _section("ledger", CommitRevealLedger)
    yield from _section("federation", FederationParams)
    yield from _section("privacy", DpSgdParams)


def _section(part: str, section: type) -> Iterator[dict[str, Any]]:
    """Constants of a parameter class: its fields that are numbers when nothing is written."""
    from simulation.config.sections import documentation, parameters

    meanings = documentation(section)
    for name, parameter in parameters(section).items():
        if type(parameter.default) in (int, float):
            meaning = meanings.get(name, "")
            source = _source(section, part, name, meaning)
            yield _row(part, f"{part}.{name}", parameter.default, meaning, *source)


def _profile(name: str, profile: Any) -> Iterator[dict[str, Any]]:
    """A network profile: its delays, documented where they are drawn, and its bandwidths."""
    from simulation.config.sections import documentation
    from simulation.network import params

    part, delays = "network.profile", type(profile.latency)
    for field, section, holder in (
        ("low_ms", delays, profile.latency),
        ("high_ms", delays, profile.latency),
        ("jitter_ms", delays, profile.latency),
        ("uplink_mbps", params.NetworkParams, profile),
        ("downlink_mbps", params.NetworkParams, profile),
    ):
        source = ("", _marked(part, field))
        if field in ("low_ms", "high_ms"):
            source = (_sentence(params, "Sources: "), PUBLISHED)
        meaning = documentation(section).get(field, "")
        yield _row(part, f"{name}.{field}", getattr(holder, field), meaning, *source)


def _row(
    part: str, path: str, value: float, meaning: str, source: str, origin: str
) -> dict[str, Any]:
    endings = (unit for end, unit in UNITS.items() if path.endswith(end))
    return {
        "part": part,
        "parameter": path,
        "value": value,
        "unit": next(endings, "1"),
        "meaning": meaning.replace("``", ""),
        "source": source,
        "origin": origin,
    }


# ---- where a constant is from -------------------------------------------------------------------

_ALGORITHM = re.compile(r"\b[A-Z][A-Za-z]*-?\d[\w-]*")
"""Names such as Ed25519 and AES-256-GCM, by which a constant is found among what was measured."""
_SECTION = re.compile(r"(?:TOCS 2002, )?§[\d.]*\d")
_CITATION = re.compile(r"\(([A-Z][a-z]+ et al\., \d{4})\)")


def _source(section: type, part: str, name: str, meaning: str) -> tuple[str, str]:
    """What a constant's documentation names as its source, and of what kind that is."""
    module = inspect.getmodule(section)
    measured = _sentence(module, "Defaults were measured")
    if set(_ALGORITHM.findall(meaning)) & set(_ALGORITHM.findall(measured)):
        return measured, MEASURED
    if found := _CITATION.search(meaning):
        return found[1], PUBLISHED
    if found := _SECTION.search(meaning):
        return _paper(section, found[0]), DEFINED
    for base in section.__mro__:
        if text := _sentence(base, "Source: "):
            return text, DEFINED
    return "", _marked(part, name)


def _marked(part: str, name: str) -> str:
    return AUTHORS if name in SET_BY_AUTHORS.get(part, ()) else ""


def _paper(section: type, place: str) -> str:
    """A section of the paper that a package's first line names: ``Authors, OSDI '99, §4.3``."""
    from importlib import import_module

    package = import_module(section.__module__.rpartition(".")[0])
    found = re.search(r"\((.*?), (.*?);", package.__doc__ or "")
    assert found is not None, f"the first line of {package.__name__} names no paper"
    authors, venue = found.groups()
    return f"{authors}, {place}" if place.startswith("TOCS") else f"{authors}, {venue}, {place}"


def _sentence(documented: Any, beginning: str) -> str:
    """The rest of a paragraph in a docstring from where it says so; empty when it does not."""
    from simulation.config.sections import unwrapped

    for paragraph in unwrapped(inspect.getdoc(documented) or "").split("\n\n"):
        if beginning in paragraph:
            start = paragraph.index(beginning)
            return paragraph[start:].removeprefix("Sources: ").removeprefix("Source: ")
    return ""


# ---- what it says -------------------------------------------------------------------------------


def verdict(table: Table) -> Verdict:
    """No constant without a meaning, and none without a source or a mark."""
    counts = {origin: sum(row["origin"] == origin for row in table) for origin in ORIGINS}
    unexplained = [row["parameter"] for row in table if not row["meaning"]]
    unsourced = [row["parameter"] for row in table if row["origin"] not in ORIGINS]
    missing = ", ".join(str(name) for name in [*unexplained, *unsourced])
    return Verdict(
        not unexplained and not unsourced,
        f"of {len(table)} constants {len(unexplained)} have no meaning and {len(unsourced)} "
        f"neither source nor mark{f' ({missing})' if missing else ''}; {counts[MEASURED]} are "
        f"measured, {counts[PUBLISHED]} published, {counts[DEFINED]} defined in a source with a "
        f"value of the authors, {counts[AUTHORS]} set by the authors",
    )


_COLUMNS = {"parameter": 0.0, "value": 0.30, "unit": 0.31, "meaning": 0.385, "source": 0.775}
_WIDTHS = {"meaning": 55, "source": 34}
"""Letters that fit."""


def figure(table: Table) -> Figure:
    """Table T1, by part; meanings and sources as far as they fit, the CSV has all of them."""
    lines = len(table) + 1.35 * len(_parts(table))
    height = 1.05 + 0.128 * lines
    drawing = Figure(figsize=(style.PAGE_IN, height))
    axes = style.table_axes(drawing, -0.6, lines - 0.5, above_in=0.55, below_in=0.45)
    style.heading(
        drawing, "Constants of the model", "Defaults as the program has them, read from its code"
    )
    for column, x in _COLUMNS.items():
        align = "right" if column == "value" else "left"
        axes.text(x, -0.9, column, ha=align, va="bottom", fontsize=6.5, fontweight="bold")
    axes.axhline(-0.7, color=style.INK, linewidth=0.8)
    y, part = 0.0, ""
    for row in table:
        if row["part"] != part:
            part = str(row["part"])
            y += 0.35 if y else 0
            axes.text(0, y, PARTS[part], va="center", fontsize=6.3, fontweight="bold")
            y += 1
        _draw_row(axes, row, y)
        y += 1
    style.caption(
        drawing,
        f"Source: {'; '.join(text for _, text in ORIGINS.values())}.",
        "Unit 1: a count or a ratio. Published delays are round trips, halved and rounded. Long "
        "texts are cut; the table's file has them whole.",
    )
    return drawing


def _parts(table: Table) -> list[Any]:
    return list(dict.fromkeys(row["part"] for row in table))


def _draw_row(axes: Axes, row: Mapping[str, Any], y: float) -> None:
    look = {"va": "center", "fontsize": 5.8}
    colour, _ = ORIGINS.get(row["origin"], (style.VERMILION, ""))
    source = {AUTHORS: "authors", MEASURED: "measured"}.get(row["origin"], str(row["source"]))
    axes.text(_COLUMNS["parameter"], y, f"  {_name(row)}", color=style.INK, **look)
    axes.text(_COLUMNS["value"], y, _number(row["value"]), ha="right", color=style.INK, **look)
    axes.text(_COLUMNS["unit"], y, row["unit"], color=style.MUTED, **look)
    axes.text(_COLUMNS["meaning"], y, _cut(row["meaning"], "meaning"), color=style.MUTED, **look)
    axes.text(_COLUMNS["source"], y, _cut(source or "none", "source"), color=colour, **look)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _name(row: Mapping[str, Any]) -> str:
    return str(row["parameter"]).removeprefix(f"{row['part']}.")


def _cut(text: Any, column: str) -> str:
    """The first clause of a text, or as many of its words as fit."""
    clause = re.split(r"[.;:] | \(", str(text).rstrip("."))[0] if column == "meaning" else str(text)
    width = _WIDTHS[column]
    if len(clause) <= width:
        return clause
    return clause[:width].rpartition(" ")[0].rstrip(",;") + " …"
