"""What is said of the last model only: intervals, subgroups, gaps, calibration and net benefit.

Everything is a list of (scope, metric, value), so that it fits the run's tidy rows:

``auroc_low``, ``auroc_high``, …   the 95 % interval of a metric in its scope
``sex=female``, ``age=65-74``, …   scopes: a subgroup's test rows at all hospitals
``gap-hospital``, ``gap-sex``, …   scopes: how far the worst of them is behind the best, never < 0
``reliability``                    scope: ``predicted@k``, ``observed@k``, ``rows@k``: of all rows
                                   in bin k mean probability, share of positives, number
``decision``                       scope: ``model@0.20``, ``all@0.20``: net benefit per patient of
                                   treating whose risk is at least 0.20, and of treating everybody

Intervals are percentile bootstrap intervals (Efron and Tibshirani, 1993, chapter 13). Rows are
drawn again within each hospital, since hospitals are given and their patients are a sample, and one
draw serves all scopes. A gap's interval lies high: noise widens gaps more often than it narrows
them. That rows of one patient belong together, and that training has luck of its own, is not in
them; seeds are for the latter. Decision curves: Vickers and Elkin, Med Decis Making 2006.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from simulation.base.ids import HospitalId, hospital_name
from simulation.base.rng import Streams
from simulation.learning.metrics import MEAN, POOLED, Scores, check_scores, together
from simulation.learning.weighted import BINS, METRICS, Floats, bin_of, weighted_metrics

THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""Risks from which on a patient is treated, for the decision curve."""
COVERAGE = 0.95
"""Of the intervals."""
SHARE_DEFINED = 0.9
"""An interval is given where a metric exists in this share of the resamples at least."""
AT_ONCE = 50
"""Resamples that are held in memory at one time."""
HOSPITAL = "hospital"
"""The family of all hospitals; the other families are the attributes of patients."""
RELIABILITY = "reliability"
"""The scope of the reliability diagram's points."""
DECISION = "decision"
"""The scope of the decision curve's points."""
GAP = "gap"
"""What the scopes of gaps begin with."""

Scopes = Mapping[str, NDArray[np.int64]]
"""By name, positions of the rows that are measured together."""

Reading = tuple[str, str, float]
"""Scope, metric, value."""

Groups = Mapping[str, NDArray[np.str_]]
"""By attribute (``sex``, ``age``), the subgroup of each of a hospital's test rows."""


def assess(
    scores: Mapping[HospitalId, Scores],
    groups: Mapping[HospitalId, Groups],
    streams: Streams,
    resamples: int,
) -> list[Reading]:
    """All readings of one model, see the module; ``resamples`` 0 leaves the intervals out.

    ``groups`` may leave hospitals out, and the name of a row's subgroup may be empty for unknown.

    Raises:
        ValueError: as `metrics.measure`.
    """
    labels, probabilities = together(scores)
    check_scores(labels, probabilities)
    families = {HOSPITAL: _hospitals(scores), **_subgroups(scores, groups)}
    plain = _measured(labels, probabilities, families, np.ones((1, len(labels))))
    # Hospitals, pooled and mean have been measured, as every model of the run has.
    known = {*families[HOSPITAL], POOLED, MEAN}
    readings = [
        (scope, metric, float(values[0]))
        for scope, metrics in plain.items()
        for metric, values in metrics.items()
        if scope not in known and np.isfinite(values[0])
    ]
    if resamples:
        drawn = [
            _measured(labels, probabilities, families, weights)
            for weights in _resampled(scores, streams, resamples)
        ]
        for scope, metrics in plain.items():
            for metric, values in metrics.items():
                if np.isfinite(values[0]):
                    again = np.concatenate([part[scope][metric] for part in drawn])
                    readings += _interval(scope, metric, again)
    return [*readings, *reliability(labels, probabilities), *decision_curve(labels, probabilities)]


def reliability(labels: NDArray[np.int64], probabilities: Floats) -> list[Reading]:
    """The reliability diagram of all rows: one point for each bin that is not empty."""
    readings: list[Reading] = []
    bins = bin_of(probabilities)
    for number in range(BINS):
        inside = bins == number
        if not inside.any():
            continue
        for what, value in (
            ("predicted", probabilities[inside].mean()),
            ("observed", labels[inside].mean()),
            ("rows", inside.sum()),
        ):
            readings.append((RELIABILITY, f"{what}@{number + 1}", float(value)))
    return readings


def decision_curve(labels: NDArray[np.int64], probabilities: Floats) -> list[Reading]:
    """Net benefit at each of `THRESHOLDS`, of all rows: of the model, and of treating everybody."""
    readings: list[Reading] = []
    for threshold in THRESHOLDS:
        odds = threshold / (1 - threshold)
        gain = np.where(labels == 1, 1.0, -odds)
        treated = probabilities >= threshold
        for what, value in (("model", (gain * treated).mean()), ("all", gain.mean())):
            readings.append((DECISION, f"{what}@{threshold:.2f}", float(value)))
    return readings


# ---- who is measured together -------------------------------------------------------------------


def _hospitals(scores: Mapping[HospitalId, Scores]) -> Scopes:
    starts = np.cumsum([0, *(len(scores[h][0]) for h in sorted(scores))])
    return {
        hospital_name(h): np.arange(starts[i], starts[i + 1]) for i, h in enumerate(sorted(scores))
    }


def _subgroups(
    scores: Mapping[HospitalId, Scores], groups: Mapping[HospitalId, Groups]
) -> dict[str, Scopes]:
    """By attribute, the rows of each of its subgroups, in the order of their names."""
    found: dict[str, Scopes] = {}
    for attribute in sorted({name for each in groups.values() for name in each}):
        unknown = np.array([""])
        names = np.concatenate(
            [
                np.asarray(groups.get(h, {}).get(attribute, unknown.repeat(len(scores[h][0]))))
                for h in sorted(scores)
            ]
        )
        found[attribute] = {
            f"{attribute}={name}": np.flatnonzero(names == name)
            for name in np.unique(names).tolist()
            if name
        }
    return found


def _measured(
    labels: NDArray[np.int64],
    probabilities: Floats,
    families: Mapping[str, Scopes],
    weights: Floats,
) -> dict[str, dict[str, Floats]]:
    """By scope and metric, the values under each weighting of all rows, shape (k,)."""
    found: dict[str, dict[str, Floats]] = {}
    for family, scopes in families.items():
        members = {
            name: weighted_metrics(labels[rows], probabilities[rows], weights[:, rows])
            for name, rows in scopes.items()
        }
        found |= members
        stacked = {m: np.stack([values[m] for values in members.values()]) for m in METRICS}
        if family == HOSPITAL:
            found[POOLED] = weighted_metrics(labels, probabilities, weights)
            found[MEAN] = {metric: _mean(values) for metric, values in stacked.items()}
        if len(scopes) > 1:
            found[f"{GAP}-{family}"] = {metric: _gap(values) for metric, values in stacked.items()}
    return found


def _mean(values: Floats) -> Floats:
    """Over scopes where it is defined; NaN where it is nowhere."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)


def _gap(values: Floats) -> Floats:
    """Best minus worst, in either direction of better; NaN unless two scopes have the metric."""
    known = np.isfinite(values)
    highest = np.where(known, values, -np.inf).max(axis=0)
    lowest = np.where(known, values, np.inf).min(axis=0)
    return np.where(known.sum(axis=0) > 1, highest - lowest, np.nan)


# ---- intervals ----------------------------------------------------------------------------------


def _resampled(
    scores: Mapping[HospitalId, Scores], streams: Streams, resamples: int
) -> Iterator[Floats]:
    """Weightings of all rows, `AT_ONCE` at a time: how often each row was drawn at its hospital."""
    sizes = {h: len(scores[h][0]) for h in sorted(scores)}
    draws = {h: streams.stream("metrics", "bootstrap", h) for h in sizes}
    for start in range(0, resamples, AT_ONCE):
        count = min(AT_ONCE, resamples - start)
        parts = [_counts(draws[h].integers(size, size=(count, size))) for h, size in sizes.items()]
        yield np.concatenate(parts, axis=1)


def _counts(drawn: NDArray[np.int64]) -> Floats:
    """How often each row comes in each resample, of the rows drawn, both of shape (k, rows)."""
    resamples, rows = drawn.shape
    places = drawn + rows * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(float)


def _interval(scope: str, metric: str, values: Floats) -> list[Reading]:
    known = values[np.isfinite(values)]
    if len(known) < SHARE_DEFINED * len(values):
        return []
    low, high = np.quantile(known, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return [(scope, f"{metric}_low", float(low)), (scope, f"{metric}_high", float(high))]
