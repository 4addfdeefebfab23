"""A hospital's own records, and the federation of all of them.

A shard is the only place where records live: what leaves a hospital is computed from it elsewhere.
Printing one shows counts, never a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulation.base.digest import Digest
from simulation.base.ids import HospitalId
from simulation.records.errors import DataError


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Shard:
    """The private records of one hospital, split by patient and scaled. The arrays are read-only.

    Raises:
        DataError: when shapes disagree, a value is not finite, or a label is not 0 or 1.
    """

    hospital: HospitalId
    """Whose records these are."""
    train_x: NDArray[np.float32]
    """Training inputs, shape (rows, features)."""
    train_y: NDArray[np.int64]
    """Training labels, shape (rows,), 0 or 1."""
    train_patient: NDArray[np.int64]
    """Whose each training row is, shape (rows,): codes from 0 that mean nothing outside this shard
    and never leave it. For privacy by patient: rows of one code are one unit."""
    validation_x: NDArray[np.float32]
    """Validation inputs, shape (rows, features); no rows where none were asked for."""
    validation_y: NDArray[np.int64]
    """Validation labels, shape (rows,), 0 or 1."""
    test_x: NDArray[np.float32]
    """Test inputs, shape (rows, features)."""
    test_y: NDArray[np.int64]
    """Test labels, shape (rows,), 0 or 1."""
    test_groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict[str, NDArray[np.str_]])
    """Subgroup of each test row by what tells them apart (``sex``, ``age``), shape (rows,) each;
    empty text where it is not known. For metrics only, never an input."""
    features: tuple[str, ...]
    """Names of the inputs, in column order."""
    name: str = ""
    """The site's name in the source, e.g. ``cleveland``; empty when it has none."""

    def __post_init__(self) -> None:
        for split, x, y in (
            ("training", self.train_x, self.train_y),
            ("validation", self.validation_x, self.validation_y),
            ("test", self.test_x, self.test_y),
        ):
            if x.shape != (len(y), len(self.features)):
                raise DataError(
                    f"hospital {self.hospital}: {split} inputs have shape {x.shape}, "
                    f"expected ({len(y)}, {len(self.features)})"
                )
            if not len(y) and split != "validation":
                raise DataError(
                    f"hospital {self.hospital}: no {split} rows; use fewer hospitals, a larger "
                    "min_size, another test_fraction or split: random"
                )
            if not np.isfinite(x).all():
                raise DataError(f"hospital {self.hospital}: a {split} input is not a finite number")
            if not np.isin(y, (0, 1)).all():
                raise DataError(f"hospital {self.hospital}: a {split} label is neither 0 nor 1")
            x.setflags(write=False)
            y.setflags(write=False)
        if self.train_patient.shape != self.train_y.shape:
            raise DataError(f"hospital {self.hospital}: not one patient for each training row")
        if any(group.shape != self.test_y.shape for group in self.test_groups.values()):
            raise DataError(f"hospital {self.hospital}: not one subgroup for each test row")
        for column in (self.train_patient, *self.test_groups.values()):
            column.setflags(write=False)

    def __repr__(self) -> str:
        return (
            f"Shard(hospital={self.hospital}, name={self.name!r}, train={len(self.train_y)}, "
            f"test={len(self.test_y)}, features={len(self.features)})"
        )


@dataclass(frozen=True, eq=False)
class Federation:
    """The shards of all hospitals, in hospital order, and what may be said about them in public."""

    source: str
    """The ``kind`` of the source."""
    shards: tuple[Shard, ...]
    """One for each hospital, from 0."""
    notes: tuple[str, ...] = ()
    """Warnings that belong beside every result, e.g. that normalisation was not private."""
    shared: tuple[int, int] = (0, 1)
    """Patients with training records at several hospitals, and the most hospitals of one patient;
    as far as the source tells patients apart."""
    pipeline: Digest | None = None
    """Commits to how inputs are made of records, the same at every hospital; none where the
    source's columns are the inputs."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs; the same at every hospital."""
        return self.shards[0].features

    def pooled(self) -> Shard:
        """All hospitals' rows as one shard, numbered after the last hospital.

        Rows keep their hospitals' scale. A patient of two hospitals becomes two: hospitals do not
        tell each other who their patients are.
        """
        shards = self.shards
        counts = [int(shard.train_patient.max()) + 1 for shard in shards]
        starts = np.cumsum([0, *counts[:-1]])
        patients = [shard.train_patient + s for shard, s in zip(shards, starts, strict=True)]
        return Shard(
            hospital=len(shards),
            train_x=np.concatenate([shard.train_x for shard in shards]),
            train_y=np.concatenate([shard.train_y for shard in shards]),
            test_x=np.concatenate([shard.test_x for shard in shards]),
            test_y=np.concatenate([shard.test_y for shard in shards]),
            features=self.features,
            train_patient=np.concatenate(patients),
            validation_x=np.concatenate([shard.validation_x for shard in shards]),
            validation_y=np.concatenate([shard.validation_y for shard in shards]),
            name="pool",
        )

    def __len__(self) -> int:
        return len(self.shards)

    def __iter__(self) -> Iterator[Shard]:
        return iter(self.shards)

    def __getitem__(self, hospital: HospitalId) -> Shard:
        return self.shards[hospital]
