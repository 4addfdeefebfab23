"""An alarm for inputs that know the label: results too good to be of records known in time.

An input that is made of the label, or written down after the outcome, gives a model that is useless
at the bedside. What gives it away is discrimination that nobody has: of one input alone, or of a
linear discriminant of all, above what the source's literature or its known ceiling allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from simulation.records.ceiling import ceiling
from simulation.records.split import Sides
from simulation.records.table import Index, Labels, Rows, Table

SINGLE = 0.98
"""AUROC above which one input alone is suspect: the best clinical measurement in the data that the
program loads, the worst perimeter of a breast tumour's nuclei, has 0.975."""
_LEAST = 10
"""Test rows of each label below which nothing is judged."""
_ERRORS = 3.0
"""Standard errors by which an AUROC must be above what is allowed."""
_RIDGE = 1e-3
"""Penalty of the discriminant, a share of the rows: it only keeps the equations solvable."""


def alarms(table: Table, sides: Sequence[Sides], most: float | None) -> tuple[str, ...]:
    """What looks like leakage, in words; empty where nothing does.

    ``most`` is the highest AUROC that is believable; a known ceiling of the labels counts as well.
    Judged by the test rows of all hospitals, for whoever prepares a study, as all notes are.
    """
    train = np.concatenate([side.train for side in sides])
    test = np.concatenate([side.test for side in sides])
    if np.bincount(table.y[test], minlength=2).min() < _LEAST:
        return ()
    known = [] if most is None else [most]
    if table.risk is not None:
        known.append(ceiling(table.risk[test]))
    limit = min(known, default=1.0)
    one = min(limit, SINGLE)
    found = [
        f"leakage: {name} alone tells the labels of test rows apart with AUROC {auroc:.3f}, above "
        f"{one:.3f}; is it known when the prediction is made, or is it made of the outcome?"
        for name, auroc in _by_input(table, train, test)
        if _above(auroc, one, table.y[test])
    ]
    together = auroc_of(_discriminant(table, train, test), table.y[test])
    if _above(together, limit, table.y[test]):
        found.append(
            f"leakage: a linear discriminant of all inputs has AUROC {together:.3f} on test rows, "
            f"above {limit:.3f}, the most that is believable; look for an input that is made of "
            "the outcome or recorded after it"
        )
    return tuple(found)


def auroc_of(scores: NDArray[np.floating], labels: Labels) -> float:
    """The share of pairs of different labels that the scores put in order; ties count half."""
    positive = int(labels.sum())
    negative = len(labels) - positive
    _, place, size = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[place]
    return float((rank[labels == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _above(auroc: float, limit: float, labels: Labels) -> bool:
    """Whether an AUROC is above a limit by more than chance.

    Standard error: Hanley, McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 1982, 143:29-36.
    """
    m = int(labels.sum())
    n = len(labels) - m
    first, second = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    square = auroc**2
    variance = auroc - square + (m - 1) * (first - square) + (n - 1) * (second - square)
    return auroc - _ERRORS * np.sqrt(max(variance, 0.0) / (m * n)) > limit


def _by_input(table: Table, train: Index, test: Index) -> Iterator[tuple[str, float]]:
    """Each input's AUROC on test rows, whichever way round.

    Levels are ordered by their share of label 1 among training rows. That a number is missing is
    judged as well: a test that is ordered only after the outcome has told.
    """
    labels = table.y[test]
    for i, name in enumerate(table.features):
        column = table.x[:, i]
        if table.columns and table.columns[i].levels:
            level = column.astype(np.int64)
            size = np.bincount(level[train], minlength=int(level.max()) + 1)
            share = np.bincount(level[train], weights=table.y[train], minlength=len(size))
            scores = [(share / np.maximum(size, 1))[level[test]]]
        else:
            known = np.isfinite(column[test])
            scores = [np.where(known, column[test], np.nanmedian(column)), known.astype(np.float64)]
        yield name, max(max(a, 1 - a) for a in (auroc_of(given, labels) for given in scores))


def _discriminant(table: Table, train: Index, test: Index) -> Rows:
    """Scores of test rows by the ridge regression of training labels on standardised inputs."""
    rows = np.ma.masked_invalid(table.x[train])
    mean, deviation = rows.mean(axis=0).filled(0.0), rows.std(axis=0).filled(0.0)
    scale = np.where(deviation > 0, deviation, 1.0)

    def standard(x: Rows) -> Rows:
        known = np.isfinite(x)
        return np.column_stack([np.where(known, (x - mean) / scale, 0.0), ~known])

    x, y = standard(table.x[train]), table.y[train] - table.y[train].mean()
    gram = x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1])
    return standard(table.x[test]) @ np.linalg.solve(gram, x.T @ y)
