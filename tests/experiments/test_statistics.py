"""Intervals that repeat themselves, and comparisons that name every difference."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.statistics import Mismatch, compare, estimate, outside, paired

KEYS = ("metric", "round")
FINITE = st.floats(-1e6, 1e6)


def test_mean_and_standard_deviation() -> None:
    """The mean, and the sample standard deviation with n − 1."""
    values = [73.0, 71.0, 65.5, 64.0, 69.0]
    found = estimate(values, "test")
    assert found.n == 5
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.sd == pytest.approx(statistics.stdev(values))


def test_the_interval_is_that_of_all_resamples() -> None:
    """Percentile bootstrap: with three values all 27 resamples can be listed."""
    values = [1.0, 2.0, 6.0]
    means = [statistics.mean(draw) for draw in itertools.product(values, repeat=3)]
    found = estimate(values, "three")
    # The smallest and the largest mean have probability 1/27 = 3.7 % each, more than the tail.
    assert (found.low, found.high) == (min(means), max(means))
    spread = estimate(list(np.linspace(0, 1, 30)), "thirty")
    expected = 1.96 * np.std(np.linspace(0, 1, 30)) / 30**0.5
    assert spread.high - spread.mean == pytest.approx(expected, rel=0.05)
    assert spread.mean - spread.low == pytest.approx(expected, rel=0.05)


@given(st.lists(FINITE, min_size=1, max_size=8))
def test_an_interval_repeats_itself_and_holds_the_mean(values: list[float]) -> None:
    """Resamples depend on the name alone; the interval lies within the values."""
    one, other = estimate(values, "a", 1), estimate(values, "a", 1)
    slack = 1e-9 * max(1.0, *(abs(value) for value in values))
    assert one == other
    assert min(values) - slack <= one.low <= one.mean + slack
    assert one.mean - slack <= one.high <= max(values) + slack


def test_resamples_are_frozen() -> None:
    """The intervals of the committed tables can be computed again."""
    found = estimate([0.1, 0.2, 0.4, 0.8, 1.6], "frozen")
    assert (round(found.low, 6), round(found.high, 6)) == (0.2, 1.14)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_there_is_no_estimate_from_nothing(values: list[float]) -> None:
    """ValueError for no values, or a value that is not finite."""
    with pytest.raises(ValueError, match="no estimate"):
        estimate(values, "test")


def rows(**changes: object) -> list[dict[str, str | int | float]]:
    """A table of two rows, the second one changed."""
    second = {"scope": "pooled", "metric": "auroc", "round": 2, "n": 5, "mean": 0.80} | changes
    first = {"scope": "mean", "metric": "auroc", "round": 1, "n": 5, "mean": 0.70}
    return [first, second]  # type: ignore[list-item]


def test_equal_tables_have_no_differences() -> None:
    """Rows are matched by their keys, in whatever order they come."""
    assert compare(rows(), rows()[::-1], KEYS, {}) == []


@pytest.mark.parametrize(
    ("tolerances", "differs"),
    [
        ({}, True),
        ({"auroc": 0.009}, True),
        ({"auroc": 0.01}, False),
        ({"pooled/auroc": 0.01}, False),
        ({"mean/auroc": 0.01}, True),
        ({"auroc": 0.01, "pooled/auroc": 0.001}, True),
        ({"accuracy": 0.5}, True),
    ],
)
def test_floats_may_differ_by_the_tolerance_of_their_row(
    tolerances: dict[str, float], differs: bool
) -> None:
    """The tolerance under ``scope/metric``, or else under ``metric``; 0 where there is none."""
    assert bool(compare(rows(), rows(mean=0.81), KEYS, tolerances)) == differs


def test_a_difference_names_expected_got_and_tolerance() -> None:
    """The message says where, what was expected, what was found, and the tolerance."""
    (found,) = compare(rows(), rows(mean=0.85), KEYS, {"auroc": 0.01})
    keys = (("metric", "auroc"), ("round", 2))
    assert found == Mismatch("metric auroc, round 2, mean", "0.8", "0.85", "0.01", keys)
    assert str(found) == "metric auroc, round 2, mean: expected 0.8, got 0.85, tolerance 0.01"


def test_whole_numbers_and_text_must_be_equal() -> None:
    """A tolerance is for floats: counts and names are exact."""
    assert len(compare(rows(), rows(n=4), KEYS, {"auroc": 10.0})) == 1
    assert len(compare(rows(), rows(scope="max"), KEYS, {"auroc": 10.0})) == 1
    assert len(compare(rows(), rows(mean="nan"), KEYS, {"auroc": 10.0})) == 1
    assert len(compare(rows(), rows(mean=float("nan")), KEYS, {"auroc": 10.0})) == 1


def test_missing_and_additional_rows_and_columns_are_differences() -> None:
    """A table that lacks or adds something is not the same table."""
    (missing,) = compare(rows(), rows()[:1], KEYS, {})
    assert (missing.where, missing.expected, missing.got) == (
        "metric auroc, round 2",
        "a row",
        "none",
    )
    (added,) = compare(rows()[:1], rows(), KEYS, {})
    assert (added.where, added.expected, added.got) == ("metric auroc, round 2", "no row", "one")
    (column,) = compare(rows(), rows(extra=1), KEYS, {})
    assert (column.where, column.expected) == ("metric auroc, round 2, extra", "no column")


def test_rows_that_share_their_keys_are_refused() -> None:
    """Otherwise one of them would never be compared."""
    with pytest.raises(ValueError, match="share their metric, round"):
        compare([*rows(), *rows()], rows(), KEYS, {})


def test_the_columns_of_a_wide_table_have_their_own_tolerances() -> None:
    """By column where there is no metric; ``x_low`` and ``x_high`` have the tolerance of ``x``."""
    one = [{"n": 4, "ms": 10.0, "ms_low": 9.0, "bytes": 7.0}]
    other = [{"n": 4, "ms": 10.4, "ms_low": 9.4, "bytes": 7.0}]
    assert compare(one, other, ("n",), {"ms": "5%"}) == []
    assert len(compare(one, other, ("n",), {"ms": "1%"})) == 2
    assert len(compare(one, [{**one[0], "bytes": 7.1}], ("n",), {"ms": "5%"})) == 1
    assert compare(one, [{**one[0], "bytes": 1e9}], ("n",), {"bytes": "any"}) == []


@pytest.mark.parametrize(
    ("mark", "distance"), [(0.5, 0.2), (0.7, 0.0), (0.75, 0.0), (0.8, 0.0), (0.83, 0.03)]
)
def test_a_mark_is_held_against_the_interval_of_a_mean(mark: float, distance: float) -> None:
    row = {"auroc": 0.75, "auroc_low": 0.7, "auroc_high": 0.8}
    assert outside(row, "auroc", mark) == pytest.approx(distance)


def test_with_other_seeds_the_means_alone_are_compared() -> None:
    """The spread over a few other seeds is another one; a mean that has moved is still seen."""
    one = [{"n": 4, "ms": 10.0, "ms_low": 9.0, "ms_high": 11.0, "ms_sd": 1.0, "slow": 1.0}]
    spread = [{**one[0], "ms_low": 1.0, "ms_high": 20.0, "ms_sd": 7.0}]
    assert compare(one, spread, ("n",), {}, means_only=True) == []
    assert len(compare(one, spread, ("n",), {})) == 3
    higher = [{**one[0], "ms": 13.0, "ms_low": 12.0, "ms_high": 14.0}]
    assert len(compare(one, higher, ("n",), {}, means_only=True)) == 1
    assert len(compare(one, [{**one[0], "slow": 2.0}], ("n",), {}, means_only=True)) == 1
    assert compare(rows(), rows(low=0.0, sd=0.4), KEYS, {}, means_only=True) == []


def moved(row: dict[str, float], by: float) -> list[dict[str, float]]:
    """The table of other seeds: the same spread somewhere else."""
    return [{name: value + by * name.startswith("ms") for name, value in row.items()}]


@pytest.mark.parametrize(
    ("by", "near"), [(0.0, True), (6.0, True), (6.4, True), (6.6, False), (-6.4, True), (-9, False)]
)
def test_with_other_seeds_intervals_must_come_near_each_other(by: float, near: bool) -> None:
    """Where seeds differ much, both intervals say so; what is between them is held to account."""
    row = {"n": 4, "ms": 10.0, "ms_low": 5.0, "ms_high": 11.0}
    found = compare([row], moved(row, by), ("n",), {"ms": 0.5}, means_only=True)
    assert (found == []) == near
    assert (compare([row], moved(row, by), ("n",), {"ms": 0.5}) == []) == (by == 0.0)


def test_with_other_seeds_a_number_without_an_interval_is_held_to_its_own() -> None:
    """Without two intervals there is the tolerance alone; counts have none."""
    row = {"n": 4, "ms": 10.0}
    for by, near in ((0.4, True), (0.6, False)):
        found = compare([row], moved(row, by), ("n",), {"ms": 0.5}, means_only=True)
        assert (found == []) == near
    wide = rows(low=0.6, high=0.9)
    assert compare(wide, rows(low=0.6, high=0.9, mean=0.65), KEYS, {}, means_only=True) == []
    assert len(compare(wide, rows(low=0.6, high=0.9, n=4), KEYS, {}, means_only=True)) == 1
    assert len(compare(wide, rows(low=0.95, high=0.99), KEYS, {}, means_only=True)) == 1


def test_paired_differences_are_taken_seed_by_seed() -> None:
    """Second minus first over the seeds that both have, with the effect in its own deviations."""
    first, second = {1: 1.0, 2: 5.0, 3: 9.0, 4: 0.0}, {1: 2.0, 2: 7.0, 3: 12.0}
    found = paired(first, second, "test")
    assert found is not None
    assert found.difference.n == 3
    assert found.difference.mean == pytest.approx(2.0)
    assert found.effect == pytest.approx(2.0)
    assert paired(first, first, "test") == paired(first, dict(first), "test")
    assert paired({1: 0.0}, {1: 1.0}, "test").effect == float("inf")  # type: ignore[union-attr]
    assert paired({1: 0.0}, {2: 1.0}, "test") is None
