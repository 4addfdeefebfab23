"""Virtual time and sizes as integers.

Time is counted in whole microseconds, so that sums never depend on the order of addition and two
events at the same instant compare equal. Conversions to and from other units happen at the edge:
in configuration (milliseconds, seconds) and in print.
"""

from __future__ import annotations

US_PER_MS = 1_000
US_PER_S = 1_000_000
BITS_PER_BYTE = 8


def us_from_ms(value_ms: float) -> int:
    """Whole microseconds nearest to a number of milliseconds."""
    return round(value_ms * US_PER_MS)


def us_from_s(value_s: float) -> int:
    """Whole microseconds nearest to a number of seconds."""
    return round(value_s * US_PER_S)


def transfer_us(size_bytes: int, rate_bps: int) -> int:
    """Time to put ``size_bytes`` on a link of ``rate_bps`` bits per second, rounded up.

    A rate of 0 means an unlimited link, which takes no time.
    """
    if rate_bps == 0:
        return 0
    return -(-size_bytes * BITS_PER_BYTE * US_PER_S // rate_bps)


def format_us(value_us: int) -> str:
    """A duration as people read it: ``850 µs``, ``41.3 ms``, ``12.4 s``, ``3 min 05 s``."""
    # Each bound is where the rounded text would reach the next unit: nobody reads "1000.0 ms".
    if value_us < US_PER_MS:
        return f"{value_us} µs"
    if value_us < US_PER_S - 50:
        return f"{value_us / US_PER_MS:.1f} ms"
    if value_us < 60 * US_PER_S - 50 * US_PER_MS:
        return f"{value_us / US_PER_S:.1f} s"
    minutes, seconds = divmod(round(value_us / US_PER_S), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s"


def format_bytes(size_bytes: int) -> str:
    """A size as people read it, in powers of 1,000: ``312 B``, ``4.1 kB``, ``2.0 MB``."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.95 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable: the loop returns at its last unit")
