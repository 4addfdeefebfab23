"""What the revealed updates of a round tell about each other: copies, and updates without work.

Anybody who holds the updates of a round can run these tests and gets the same answer. They raise a
suspicion and prove nothing: a copy with enough noise passes the first, whoever repeats what the
federation did last round looks like a contributor to the second, and an honest hospital with
unusual patients may look like none. How often each happens is measured, not promised.

Sources: Fung, Yoon & Beschastnikh, RAID 2020 (updates that are too alike); Xu, Lyu, Ma, Miao, Foo &
Low, "Gradient Driven Rewards to Guarantee Fairness in Collaborative Machine Learning", NeurIPS 2021
(cosine with the aggregate as a hospital's contribution).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import NDArray

from simulation.base.ids import HospitalId
from simulation.base.tensors import Arrays

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class NoScreening:
    """Revealed updates are not compared with each other."""

    kind: Literal["none"] = "none"
    """Names this choice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdateScreening:
    """Every round's updates are compared; a suspicion is written into the trace (``suspected``) and
    changes nothing else, because it is no proof.
    """

    kind: Literal["updates"] = "updates"
    """Names this choice."""
    duplicate_distance: float = 0.01
    """Two changes are copies when their distance is at most this share of the shorter one's
    length."""
    contribution: float = 0.1
    """An update is suspected of no work when the cosine between its change and the mean change of
    the others is below this, or its length below this share of the median length."""

    def __post_init__(self) -> None:
        if not 0 <= self.duplicate_distance < 2:
            raise ValueError(
                f"duplicate_distance: must be at least 0 and below 2, got {self.duplicate_distance}"
            )
        if not 0 <= self.contribution < 1:
            raise ValueError(
                f"contribution: must be at least 0 and below 1, got {self.contribution:g}"
            )


ScreeningParams = Union[NoScreening, UpdateScreening]
"""Whether a round's updates are compared with each other."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One hospital's update looks wrong beside the others'."""

    hospital: HospitalId
    test: Literal["near-duplicate", "no-contribution"]
    score: float
    """Relative distance to the nearest other update; cosine with the others' mean, or 0 for an
    update that is too short to have one."""


def screen(
    params: UpdateScreening, base: Arrays, updates: Mapping[HospitalId, Arrays]
) -> list[Suspicion]:
    """The suspicions that a round's updates raise, near-duplicates first, by hospital.

    Fewer than three updates raise none: with two, neither can be told from the rest.
    """
    hospitals = sorted(updates)
    if len(hospitals) < 3:
        return []
    changes = np.stack([_flat(updates[h], base) for h in hospitals])
    copies = nearest_distances(changes)
    found = [
        Suspicion(h, "near-duplicate", float(d))
        for h, d in zip(hospitals, copies, strict=True)
        if d <= params.duplicate_distance
    ]
    lengths = np.linalg.norm(changes, axis=1)
    short = lengths <= params.contribution * float(np.median(lengths))
    shares = np.where(short, 0.0, contributions(changes))
    return found + [
        Suspicion(h, "no-contribution", float(share))
        for h, share in zip(hospitals, shares, strict=True)
        if share < params.contribution
    ]


def nearest_distances(changes: Floats) -> Floats:
    """Each change's distance to the nearest other, shape (updates,), as a share of the shorter.

    Two changes of length zero are copies: their distance is 0.
    """
    lengths = np.linalg.norm(changes, axis=1)
    nearest = np.full(len(changes), np.inf)
    for one in range(len(changes)):
        apart = np.linalg.norm(changes - changes[one], axis=1)
        shorter = np.minimum(lengths, lengths[one])
        relative = np.divide(
            apart, shorter, out=np.where(apart > 0, np.inf, 0.0), where=shorter > 0
        )
        relative[one] = np.inf
        nearest[one] = relative.min()
    return nearest


def contributions(changes: Floats) -> Floats:
    """The cosine between each change and the mean of all others, shape (updates,); 0 where either
    has no length.
    """
    others = (changes.sum(axis=0) - changes) / (len(changes) - 1)
    size = np.linalg.norm(changes, axis=1) * np.linalg.norm(others, axis=1)
    return np.divide(
        (changes * others).sum(axis=1), size, out=np.zeros(len(changes)), where=size > 0
    )


def _flat(arrays: Mapping[str, NDArray[Any]], base: Arrays) -> Floats:
    names = sorted(base)
    return np.concatenate(
        [np.ravel(arrays[n]).astype(np.float64) - np.ravel(base[n]) for n in names]
    )
