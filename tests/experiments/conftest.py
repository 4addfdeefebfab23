"""Runs made of numbers, for tables and figures that need no simulation."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.heart_disease import LEDGER_METRICS, MODEL_METRICS, SCOPES, VARIANTS
from experiments.stem import Run

Rows = list[dict[str, Any]]


@pytest.fixture
def heart_runs() -> list[Run]:
    """Two rounds of the heart disease stem, five seeds; values are simple functions of the seed."""

    def rows(variant: int, seed: int) -> Rows:
        model = [
            {"round": r, "scope": scope, "metric": metric, "t_us": r * 1000,
             "value": 0.5 + 0.1 * r + 0.01 * (seed - 44) + 0.05 * variant}
            for r in range(3) for scope in SCOPES for metric in MODEL_METRICS
        ]  # fmt: skip
        ledger = [
            {"round": r, "scope": "round", "metric": metric, "value": 4.0, "t_us": r * 1000}
            for r in (1, 2)
            for metric in LEDGER_METRICS
        ]
        other = [{"round": 1, "scope": "round", "metric": "wait_us", "value": 1.0, "t_us": 1000}]
        return model + ledger + other

    return [
        Run({"variant": name}, seed, Path("nowhere"), rows(number, seed))
        for number, name in enumerate(VARIANTS)
        for seed in range(42, 47)
    ]


@pytest.fixture
def run_rows() -> Callable[..., Rows]:
    """Metrics of a run of three hospitals, as `simulation.trace.metrics` names them."""

    def build(rounds: int = 3, private: bool = True, measured: bool = True) -> Rows:
        found: Rows = []

        def row(number: int, scope: str, metric: str, value: float) -> None:
            found.append(
                {"round": number, "scope": scope, "metric": metric, "value": value,
                 "t_us": number * 400_000}
            )  # fmt: skip

        for number in range(rounds + 1):
            for place, scope in enumerate(["hospital-00", "hospital-01", "pooled", "mean"]):
                if measured:
                    row(number, scope, "auroc", 0.6 + 0.1 * number / rounds + 0.02 * place)
            if number == 0:
                continue
            if private:
                row(number, "max", "epsilon", 8 * (number / rounds) ** 0.5)
            row(number, "round", "duration_us", 400_000)
            for phase, value in (
                ("download", 20_000), ("train", 100_000), ("consensus", 150_000),
                ("upload", 20_000), ("wait", 10_000), ("aggregate", 100_000),
            ):  # fmt: skip
                row(number, "round", f"{phase}_us", value)
        return found

    return build


@pytest.fixture
def heart_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the real data sets."""
    folder = Path(os.environ.get("WARDCHAIN_DATA", ""))
    if not (folder / "heart-disease-uci").is_dir():
        pytest.skip("WARDCHAIN_DATA names no folder with heart-disease-uci")
    monkeypatch.setenv("WARDCHAIN_DATA", str(folder))
    return folder
