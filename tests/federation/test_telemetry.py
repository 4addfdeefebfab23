"""Nothing reaches the network: Flower's telemetry is off before Flower is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["simulation.world", "simulation.flower_app"])
def test_telemetry_is_off_whichever_way_in(module):
    environment = {k: v for k, v in os.environ.items() if k != "FLWR_TELEMETRY_ENABLED"}
    environment["PYTHONPATH"] = str(ROOT)
    script = (
        f"import {module}; from flwr.supercore import telemetry; "
        "print(telemetry.FLWR_TELEMETRY_ENABLED)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"
