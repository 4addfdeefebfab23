"""What the simulator costs: memory is that of one run, and the verdict judges all three parts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from experiments import simulator_cost
from experiments.stem import ROOT, Table

GROWS = """\
from experiments.simulator_cost import peak_mb
before = peak_mb()
held = bytearray(b"x" * 80_000_000)
del held
print(before, peak_mb())
"""


def test_peak_memory_is_what_the_process_itself_has_held() -> None:
    """The most that a process held counts though it was freed, and not what its parent holds."""
    held = bytearray(b"x" * 400_000_000)
    said = subprocess.run(
        [sys.executable, "-c", GROWS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    del held
    before, after = map(float, said.stdout.split())
    assert before < 400
    assert 70 < after - before < 200


def rows(slower: float = 0.5, processor_s: float = 4.0, peak_mb: float = 500.0) -> Table:
    """A small and a large federation; the large one as given."""
    small = {"hospitals": 4, "slower": 0.1, "messages": 1e3, "processor_s": 0.1, "peak_mb": 380.0}
    large = {"hospitals": 16, "slower": slower, "messages": 1e5, "processor_s": processor_s}
    return [{**row, "libraries_mb": 360.0} for row in (small, {**large, "peak_mb": peak_mb})]


TOO_MUCH = {"slower": 1.1, "processor_s": 20.0, "peak_mb": 730.0}


@pytest.mark.parametrize(
    ("changed", "holds"),
    [({}, True)] + [({name: value}, False) for name, value in TOO_MUCH.items()],
)
def test_each_part_of_the_claim_can_fail(changed: dict[str, float], holds: bool) -> None:
    """Faster than real time, no faster growth than messages, less than twice the libraries."""
    assert simulator_cost.verdict(rows(**changed)).holds is holds
