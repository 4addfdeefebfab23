"""The recorder: one digest per run, whatever the process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulation.trace.events import Event, Measured, RoundClosed, UpdateLate
from simulation.trace.recorder import Recorder, event_line

ROOT = Path(__file__).parents[2]

EVENTS: list[Event] = [
    UpdateLate(t_us=5, round=1, hospital=3),
    Measured(t_us=6, round=1, scope="global", metric="auroc", value=0.1 + 0.2),
    RoundClosed(
        t_us=9, round=1, accepted=6, rejected=0, late=1, outcome="aggregated — ε", out_root="ab"
    ),
]

# Derived once from the lines below, and frozen: manifests written before stay comparable.
FROZEN = "4e798ed0a4392ee8f7210abbfc650df2a9e8acadf7ba374fe993a83e7cd08fb8"

PROGRAM = """
from simulation.trace.events import *
from simulation.trace.recorder import Recorder
recorder = Recorder()
recorder.record(UpdateLate(t_us=5, round=1, hospital=3))
recorder.record(Measured(t_us=6, round=1, scope="global", metric="auroc", value=0.1 + 0.2))
recorder.record(RoundClosed(t_us=9, round=1, accepted=6, rejected=0, late=1,
                            outcome="aggregated — ε", out_root="ab"))
print(recorder.digest)
"""


def recorded(events: list[Event]) -> Recorder:
    """A recorder that has seen the events."""
    recorder = Recorder()
    for event in events:
        recorder.record(event)
    return recorder


def test_digest_is_sha256_of_the_lines() -> None:
    """SHA-256 over the canonical JSON lines in order, each with its newline; frozen."""
    lines = (
        '{"event":"update_late","t_us":5,"round":1,"hospital":3}\n'
        '{"event":"measured","t_us":6,"round":1,"scope":"global","metric":"auroc",'
        '"value":0.30000000000000004}\n'
        '{"event":"round_closed","t_us":9,"round":1,"accepted":6,"rejected":0,"late":1,'
        '"outcome":"aggregated \\u2014 \\u03b5","out_root":"ab"}\n'
    )
    assert recorded(EVENTS).digest == hashlib.sha256(lines.encode("ascii")).hexdigest() == FROZEN
    assert recorded([]).digest == hashlib.sha256().hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_digest_is_the_same_in_another_process(hash_seed: str) -> None:
    """Same digest in another process, under another PYTHONHASHSEED and another locale."""
    environment = os.environ | {
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C",
        "PYTHONIOENCODING": "utf-8",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == recorded(EVENTS).digest


def test_order_and_every_value_count() -> None:
    """Two runs are the same run exactly when their digests are equal."""
    digests = {
        recorded(events).digest
        for events in (
            EVENTS,
            EVENTS[::-1],
            EVENTS[:2],
            [UpdateLate(t_us=6, round=1, hospital=3), *EVENTS[1:]],
            [UpdateLate(t_us=5, round=3, hospital=1), *EVENTS[1:]],
        )
    }
    assert len(digests) == 5


def test_the_next_float_has_another_line() -> None:
    """Floats are written with ``repr``, which is exact."""
    value = 0.7310585786300049
    near = float(np.nextafter(value, 1))
    one, other = (Measured(1, 1, "global", "auroc", v) for v in (value, near))
    assert event_line(one) != event_line(other)
    assert event_line(one) == event_line(Measured(1, 1, "global", "auroc", np.float64(value)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(0.5), np.int64(1), b"x"])
def test_a_value_without_a_line_is_refused_before_it_counts(value: object) -> None:
    """The message names the event; the refused event is in neither the list nor the digest."""
    recorder = recorded(EVENTS[:1])
    before = recorder.digest
    with pytest.raises(ValueError, match=r"^measured: .*metric='auroc'"):
        recorder.record(Measured(1, 1, "global", "auroc", value))  # type: ignore[arg-type]
    assert recorder.events == EVENTS[:1]
    assert recorder.digest == before


def test_listeners_hear_every_event_in_order() -> None:
    """The recorder hands events to whoever listens, after it has counted them."""
    heard: list[tuple[str, Event]] = []
    recorder = Recorder(listeners=[lambda event: heard.append((recorder.digest, event))])
    for event in EVENTS:
        recorder.record(event)
    assert [event for _, event in heard] == recorder.events == EVENTS
    assert [digest for digest, _ in heard] == [recorded(EVENTS[: i + 1]).digest for i in range(3)]
