"""The two larger public data sets: rows, label shares and hospitals as published."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from simulation.base.rng import Streams
from simulation.records.load import load
from simulation.records.params import Diabetes130Params, IstParams, NaturalParams
from simulation.records.registry import source_of
from simulation.records.table import Table


@functools.cache
def table_of(params: IstParams | Diabetes130Params) -> Table:
    """Reading takes seconds, so each table is read once."""
    return source_of(params.kind).read(params)


@pytest.fixture(autouse=True)
def _needs_files(real_data: Path) -> None:
    del real_data


def test_the_stroke_trial_has_its_published_counts() -> None:
    """19,285 patients with an outcome, 62.9 % dead or dependent; 187 hospitals have 30 or more,
    49 have 100 or more; 36 countries, 24 with 100 or more."""
    table = table_of(IstParams())
    assert len(table.y) == 19_285
    assert table.y.mean() == pytest.approx(0.629, abs=5e-4)
    assert table.site is not None
    sizes = np.bincount(table.site)
    assert ((sizes >= 30).sum(), (sizes >= 100).sum()) == (187, 49)
    countries = table_of(IstParams(by="country"))
    assert countries.site is not None
    assert len(countries.sites) == 36
    assert (np.bincount(countries.site) >= 100).sum() == 24


def test_the_stroke_trial_uses_nothing_that_happened_later() -> None:
    """Columns that begin with D or F, and the derived ones, are leakage."""
    features = table_of(IstParams()).features
    used = {name.split("=")[0] for name in features}
    assert all(name[0] not in "DF" for name in used)
    assert not used & {"OCCODE", "DIED", "TD", "EXPDD", "EXPD6", "EXPD14", "ID14", "STRK14"}


def test_the_pilots_heparin_is_the_main_trials() -> None:
    """H in the pilot is M in the main trial: a quarter of all patients each for L and M."""
    table = table_of(IstParams())
    share = dict(zip(table.features, table.x.mean(axis=0), strict=True))
    assert share["RXHEP=L"] == pytest.approx(0.25, abs=0.01)
    assert share["RXHEP=M"] == pytest.approx(0.25, abs=0.01)


def test_the_diabetes_cohort_has_its_published_counts() -> None:
    """One stay for each of 69,987 patients, no death or hospice, 8.98 % readmitted in 30 days."""
    table = table_of(Diabetes130Params())
    assert len(table.y) == 69_987
    assert table.y.mean() == pytest.approx(0.0898, abs=5e-5)


@pytest.mark.parametrize("by", ["payer", "specialty", "admission_source"])
def test_stand_ins_are_capped_and_labelled(by: str) -> None:
    """The missing code is up to half of all rows, so it is split; and that the groups are no
    hospitals is said beside every result."""
    table = table_of(Diabetes130Params(by=by))  # pyright: ignore[reportArgumentType]
    assert table.site is not None
    sizes = dict(zip(table.sites, np.bincount(table.site).tolist(), strict=True))
    named = max(size for name, size in sizes.items() if not name.startswith("unknown"))
    assert all(size <= named for name, size in sizes.items() if name.startswith("unknown"))
    assert any("stand-ins" in note for note in table.notes)


def test_notes_of_a_source_reach_the_federation() -> None:
    """Whoever shows a result has the warning at hand."""
    found = load(Diabetes130Params(), NaturalParams(largest=True), 4, Streams(1))
    assert any("stand-ins" in note for note in found.notes)
    assert [shard.name for shard in found] == ["HM", "MC", "unknown-1", "unknown-2"]
