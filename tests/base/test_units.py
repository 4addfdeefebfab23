"""Integer units: conversions at the edge, and the way numbers are printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.ids import hospital_name, node_name
from simulation.base.units import format_bytes, format_us, transfer_us, us_from_ms, us_from_s


@pytest.mark.parametrize(
    ("value_ms", "value_us"),
    [(0, 0), (1, 1000), (0.001, 1), (2.5, 2500), (1e-9, 0), (19.9999, 20000)],
)
def test_milliseconds_become_whole_microseconds(value_ms: float, value_us: int) -> None:
    """Whole microseconds nearest to a number of milliseconds."""
    assert us_from_ms(value_ms) == value_us
    assert isinstance(us_from_ms(value_ms), int)


@pytest.mark.parametrize(
    ("value_s", "value_us"), [(0, 0), (1, 10**6), (0.25, 250_000), (3600, 36 * 10**8)]
)
def test_seconds_become_whole_microseconds(value_s: float, value_us: int) -> None:
    """Whole microseconds nearest to a number of seconds."""
    assert us_from_s(value_s) == value_us
    assert isinstance(us_from_s(value_s), int)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_time_is_no_number(value: float) -> None:
    """A duration that is not a number never enters the clock."""
    with pytest.raises((ValueError, OverflowError)):
        us_from_ms(value)


@given(size=st.integers(0, 10**12), rate=st.integers(1, 10**12))
def test_transfer_time_is_rounded_up(size: int, rate: int) -> None:
    """The smallest whole time in which the link carries all the bits."""
    time_us = transfer_us(size, rate)
    assert time_us * rate >= size * 8 * 10**6
    assert time_us == 0 or (time_us - 1) * rate < size * 8 * 10**6


def test_transfer_on_a_known_and_on_an_unlimited_link() -> None:
    """A rate of 0 means an unlimited link, which takes no time."""
    assert transfer_us(1_250_000, 100_000_000) == 100_000  # 10 Mbit at 100 Mbit/s is 0.1 s
    assert transfer_us(1, 10**9) == 1
    assert transfer_us(10**9, 0) == 0


@pytest.mark.parametrize(
    ("value_us", "text"),
    [
        (0, "0 µs"),
        (999, "999 µs"),
        (1_000, "1.0 ms"),
        (41_312, "41.3 ms"),
        (999_949, "999.9 ms"),
        (999_950, "1.0 s"),
        (12_400_000, "12.4 s"),
        (59_949_999, "59.9 s"),
        (59_950_000, "1 min 00 s"),
        (185_000_000, "3 min 05 s"),
        (3_599_499_999, "59 min 59 s"),
        (3_599_500_001, "1 h 00 min"),
        (9 * 3_600_000_000 + 5 * 60_000_000, "9 h 05 min"),
    ],
)
def test_durations_are_printed_as_people_read_them(value_us: int, text: str) -> None:
    """One unit below a minute, and never 1000 of one where 1 of the next would do."""
    assert format_us(value_us) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (312, "312 B"),
        (999, "999 B"),
        (4_100, "4.1 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_000_000, "2.0 MB"),
        (7_300_000_000_000, "7300.0 GB"),
    ],
)
def test_sizes_are_printed_as_people_read_them(size: int, text: str) -> None:
    """Powers of 1,000, one decimal, up to gigabytes."""
    assert format_bytes(size) == text


def test_names_of_nodes() -> None:
    """Hospitals come first (0 .. H-1), the coordinator is node H."""
    assert hospital_name(3) == "hospital-03"
    assert node_name(6, 7) == "hospital-06"
    assert node_name(7, 7) == "coordinator"
