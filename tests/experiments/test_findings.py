"""The section on what did not hold says what the committed tables say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from experiments.listing import README
from experiments.stem import REFERENCE, Table, stem_module
from experiments.tables import read_table

Row = dict[str, Any]


def table(stem: str) -> Table:
    """A committed table."""
    return read_table(REFERENCE / f"{stem}.csv")


def view_change() -> list[str]:
    """Milliseconds beyond the timeouts, with one and with two silent primaries."""
    beyond = {
        silent: [r["gap_ms"] - r["closed_form_ms"] for r in table("view_change")
                 if r["silent"] == silent]
        for silent in (1, 2)
    }  # fmt: skip
    one, two = (f"{min(found):.0f} to {max(found):.0f} ms" for found in beyond.values())
    return [f"{one} with one silent primary", f"{two} with two"]


def latency_throughput() -> list[str]:
    """Median latency with the fewest clients."""
    rows: Any = {(r["protocol"], r["clients"]): r["p50_ms"] for r in table("latency_throughput")}
    return [f"median is {rows['raft', 4]:.0f} ms and {rows['pbft', 4]:.0f} ms with 4 clients"]


def ledger_overhead() -> list[str]:
    """How much longer a round takes at 64 hospitals, and how much of it is consensus."""
    rows: Any = {r["ledger"]: r for r in table("ledger_overhead") if r["task"] == "n = 64"}
    sealed, bare = rows["commit_reveal"], rows["none"]
    times = sealed["seconds"] / bare["seconds"]
    parts = f"{sealed['consensus']:.2f} of its {sealed['seconds']:.2f} s"
    return [f"round takes {times:.1f} times as long", f"{parts} are consensus"]


def poisoning() -> list[str]:
    """The worst that five attackers do to the median, with its interval, and to Multi-Krum."""
    rows: Any = table("poisoning")

    def worst(rule: str, attackers: int) -> Any:
        of = [r for r in rows if r["rule"] == rule and r["attackers"] == attackers]
        return min(of, key=lambda r: r["auroc"])

    clean, hit = worst("median", 0)["auroc"], worst("median", 5)
    lost, least, most = (clean - hit[f"auroc{end}"] for end in ("", "_high", "_low"))
    assert worst("Multi-Krum", 2)["auroc"] >= worst("Multi-Krum", 0)["auroc"] - 0.0015
    return [
        f"costs the median {lost:.3f}, but the interval reaches from {least:.3f} to {most:.3f}",
        f"AUROC of {worst('Multi-Krum', 5)['auroc']:.3f}",
    ]


def poisoning_skew() -> list[str]:
    """How often a backdoor of two gets in where labels are skewed, by rule."""
    got: Any = {
        r["rule"]: f"{r['planted']:.0%}".replace("%", " %")
        for r in table("poisoning_skew")
        if (r["records"], r["attack"], r["attackers"], r["seeds"]) == ("skewed", "backdoor", 2, 20)
    }
    return [
        f"into {got['Multi-Krum']} of 20 models past Multi-Krum",
        f"into {got['mean']} without any rule",
        f"past the trimmed mean into {got['trimmed mean']}",
    ]


def convergence() -> list[str]:
    """How far local training is ahead where labels are skewed."""
    rows: Any = [r for r in table("convergence") if r["dealt"] == "skewed labels"]
    last = max(r["round"] for r in rows)
    auroc = {r["method"]: r["auroc"] for r in rows if r["round"] == last}
    assert abs(auroc["ledger"] - auroc["FedAvg"]) < 0.0005
    return [f"an AUROC {auroc['local'] - auroc['ledger']:.3f} above that of the federation"]


def tamper_detection() -> list[str]:
    """What is named of other files, sealed again, and of updates, when all are altered."""
    named = {
        r["place"]: 100 * float(r["detected"])
        for r in table("tamper_detection")
        if r["percent"] == 100 and (r["resealed"] or r["place"] == "updates on the wire")
    }
    return [
        f"{named['other files']:.1f} % are named when all are altered",
        f"{100 - named['updates on the wire']:.1f} % are accepted",
    ]


def byzantine_grid() -> list[str]:
    """Three poisoners with no silent replica, and with two."""
    rows: Any = {(r["replicas"], r["poisoned"]): r for r in table("byzantine_grid")
                 if r["byzantine"] in ("none", "silent")}  # fmt: skip
    alone, saved = rows[0, 3], rows[2, 3]
    ends = f"from {saved['auroc_low']:.3f} to {saved['auroc_high']:.3f}"
    return [f"the AUROC is {alone['auroc']:.3f};", f"it is {saved['auroc']:.3f}, but {ends}"]


def heart_disease() -> list[str]:
    """Accuracy at the published learning rate, and of guessing; both are in the verdict."""
    because = stem_module("heart_disease").verdict(table("heart_disease")).because
    assert "is 68.4 % at 0.001" in because
    assert "majority has 72.1 %" in because
    return ["reaches 68.4 %, as published", "class reaches 72.1 %"]


def main_results() -> list[str]:
    """How many times as many bytes."""
    verdict = stem_module("main_results").verdict(table("main_results"))
    assert verdict.holds
    times = verdict.because.split("sends ")[1].split(" times")[0]
    return [f"Rounds send {times} times as many bytes"]


@pytest.mark.parametrize(
    "found",
    [
        view_change, latency_throughput, ledger_overhead, poisoning, poisoning_skew, convergence,
        tamper_detection, byzantine_grid, heart_disease, main_results,
    ],
)  # fmt: skip
def test_a_finding_in_words_is_the_one_in_the_table(found: Callable[[], list[str]]) -> None:
    """Each is named with its stem, and its numbers are those of the committed table."""
    section = README.read_text(encoding="utf-8").split("## What did not hold")[1].split("\n## ")[0]
    (entry,) = [e for e in section.split("\n* ") if f"(`{found.__name__}`" in e]
    words = " ".join(entry.split())
    for fragment in found():
        assert fragment in words


@pytest.mark.parametrize(
    "stem",
    [
        "view_change", "latency_throughput", "poisoning", "convergence",
    ],
)  # fmt: skip
def test_what_is_listed_as_not_holding_does_not(stem: str) -> None:
    """A claim that holds has no place there."""
    assert not stem_module(stem).verdict(table(stem)).holds
