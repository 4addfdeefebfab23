"""What every test needs: a quiet Flower, one thread, and property tests that repeat themselves."""

from __future__ import annotations

import os

# Before anything imports Flower or PyTorch: no telemetry, no threads that fight for two cores.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# A failing example must fail again in the next run and on the next machine. Time limits per example
# would fail on a busy machine, so there are none.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Files that the tests compare with are written by the program only, and only when asked to."""
    parser.addoption(
        "--regenerate",
        action="store_true",
        help="write the transcripts of tests/consensus/transcripts anew, then compare with them",
    )
