"""One look, and files that are equal when the figure is."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from experiments import style


def a_figure() -> Figure:
    """Bars with hatches, a line and text: all that makes identifiers inside an SVG."""
    with style.figure_style():
        figure = Figure(figsize=(style.COLUMN_IN, 2))
        axes = figure.add_subplot()
        axes.bar([1, 2], [3, 4], hatch="///", color=style.BLUE)
        axes.plot([1, 2], [2, 1], marker="o")
        axes.set_xlim(0, 3)
        style.heading(figure, "title", "rest")
        style.caption(figure, "one line", "another")
    return figure


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_the_same_figure_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """No date, no random identifier, no name of a program version inside the file."""
    (one,) = style.save(a_figure(), tmp_path / "one", "f", [kind])
    (other,) = style.save(a_figure(), tmp_path / "other", "f", [kind])
    data = one.read_bytes()
    assert data == other.read_bytes()
    assert len(data) > 1000
    for word in (b"matplotlib v", b"Matplotlib v", b"CreationDate", b"dc:date"):
        assert word not in data


def test_the_users_own_settings_do_not_matter(tmp_path: Path) -> None:
    """A figure does not depend on somebody's matplotlibrc, and leaves their settings alone."""
    (plain,) = style.save(a_figure(), tmp_path / "plain", "f", ["svg"])
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.hashsalt": "other"}):
        (odd,) = style.save(a_figure(), tmp_path / "odd", "f", ["svg"])
        assert mpl.rcParams["font.size"] == 20
    assert odd.read_bytes() == plain.read_bytes()


@given(st.lists(st.floats(-100, 100), max_size=8), st.floats(0.1, 10))
def test_spread_labels_keep_their_order_and_their_distance(
    positions: list[float], gap: float
) -> None:
    """Neighbours differ by the gap, the order is kept, and the centre stays where it was."""
    moved = style.spread(positions, gap)
    order = sorted(range(len(positions)), key=positions.__getitem__)
    for one, other in itertools.pairwise(order):
        assert moved[other] - moved[one] >= gap - 1e-6
    assert math.isclose(sum(moved), sum(positions), abs_tol=1e-6)


def test_labels_that_are_far_apart_stay() -> None:
    """Each is moved as little as it takes."""
    assert style.spread([0.0, 10.0, 5.0], 2.0) == [0.0, 10.0, 5.0]
    assert style.spread([0.0, 1.0, 10.0], 2.0) == [-0.5, 1.5, 10.0]


@pytest.mark.parametrize(
    ("longest_us", "unit"),
    [(0, "µs"), (900, "µs"), (390_000, "ms"), (4e6, "s"), (3e8, "min"), (1e10, "h")],
)
def test_virtual_time_is_shown_in_a_unit_that_reads_well(longest_us: float, unit: str) -> None:
    """The largest unit of which the span has at least two."""
    assert style.time_unit(longest_us)[1] == unit
