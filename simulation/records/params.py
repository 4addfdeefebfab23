"""What a configuration may say about records: which source, and how it is dealt to hospitals.

Nothing heavy is imported here, so that a configuration can be checked in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union

from simulation.records.base_params import Normalisation, SplitParams
from simulation.records.longitudinal_params import FhirParams, SyntheaCsvParams
from simulation.records.partition_params import (
    DirichletParams,
    FeatureShiftParams,
    IidParams,
    NaturalParams,
    PartitionParams,
    QuantityParams,
)
from simulation.records.synthetic.params import SyntheticParams

__all__ = [
    "BreastCancerParams",
    "CsvParams",
    "DataParams",
    "Diabetes130Params",
    "DirichletParams",
    "FeatureShiftParams",
    "FhirParams",
    "HeartDiseaseParams",
    "IidParams",
    "InputParams",
    "IstParams",
    "LevelsInput",
    "NaturalParams",
    "Normalisation",
    "NumberInput",
    "PartitionParams",
    "QuantityParams",
    "SyntheaCsvParams",
    "SyntheticParams",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class BreastCancerParams(SplitParams):
    """Wisconsin diagnostic breast cancer: 569 real biopsies, 30 measurements, nothing to download.

    Label: 1 = malignant. It knows no hospitals: use the partition ``iid`` or ``dirichlet``.
    """

    kind: Literal["breast_cancer"] = "breast_cancer"
    """Names this source."""
    normalisation: Normalisation = "site"
    """How inputs are scaled; ``site`` and ``pooled`` use private statistics outside the guarantee,
    ``pooled`` moreover shares them between hospitals, ``public`` uses published ranges."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeartDiseaseParams(SplitParams):
    """UCI heart disease: 740 patients of four real hospitals, prepared as in FLamby.

    Cleveland, Hungary, Switzerland, VA Long Beach; label: 1 = narrowing of a vessel by more than
    half (``num > 0``); 13 inputs. Source: FLamby, NeurIPS 2022 Datasets and Benchmarks, appendix on
    Fed-Heart-Disease. The files come from ``WARDCHAIN_DATA`` or ``wardchain data fetch``.
    """

    kind: Literal["heart_disease"] = "heart_disease"
    """Names this source."""
    test_fraction: float = 0.34
    """Share of each hospital's rows kept for testing, between 0 and 1; FLamby: 0.34."""
    split_seed: int | None = 43
    """Seed of the train/test split; FLamby: 43. None: drawn from the run's seed."""
    normalisation: Normalisation = "site"
    """How inputs are scaled; FLamby: ``site``. ``site`` and ``pooled`` use private statistics
    outside the guarantee, ``public`` uses clinical ranges."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IstParams(SplitParams):
    """International Stroke Trial: 19,285 patients, 38 inputs known at randomisation.

    Label: 1 = dead or dependent after six months. Source: Sandercock, Niewada, Czlonkowska, Trials
    2011, 12:101. The file comes from ``WARDCHAIN_DATA``.
    """

    kind: Literal["ist"] = "ist"
    """Names this source."""
    by: Literal["hospital", "country"] = "hospital"
    """What the natural partition takes for a hospital: the trial's hospitals, or countries."""
    normalisation: Normalisation = "site"
    """How inputs are scaled; ``site`` and ``pooled`` use private statistics outside the guarantee,
    ``public`` uses clinical ranges."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diabetes130Params(SplitParams):
    """Diabetes in 130 US hospitals: 69,987 patients, first stay each, no death or hospice.

    Label: 1 = readmitted within 30 days. The data name no hospitals: what stands in for them is
    chosen with ``by``, and belongs beside every result. Source: Strack et al., BioMed Research
    International 2014, 781670. The files come from ``WARDCHAIN_DATA`` or ``wardchain data fetch``.
    """

    kind: Literal["diabetes_130"] = "diabetes_130"
    """Names this source."""
    by: Literal["payer", "specialty", "admission_source"] = "payer"
    """What the natural partition takes for a hospital. Patients whose value is missing, up to half
    of all, are dealt to parts no larger than the largest named group."""
    normalisation: Normalisation = "site"
    """How inputs are scaled; ``site`` and ``pooled`` use private statistics outside the guarantee,
    ``public`` uses the ranges of the data's documentation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberInput:
    """A column of numbers."""

    kind: Literal["number"] = "number"
    """Names this kind of column."""
    name: str
    """The column's name in the header."""
    low: float
    """The lowest value that is possible; a lower one is an error. Public, never computed."""
    high: float
    """The highest value that is possible; a higher one is an error. Public, never computed."""
    missing: float | None = None
    """A public constant for cells that are empty, ``?`` or ``NA``; none: they are an error."""
    unit: str = ""
    """UCUM unit (``mg/dL``, ``mm[Hg]``), for ``data describe`` and FHIR; empty: none."""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low: must be below high in {self.name}, got {self.low}, {self.high}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelsInput:
    """A column of categories, which becomes an indicator for each level but the first."""

    kind: Literal["levels"] = "levels"
    """Names this kind of column."""
    name: str
    """The column's name in the header."""
    levels: tuple[str, ...]
    """All values that may occur; any other is an error. An empty text stands for a missing cell."""

    def __post_init__(self) -> None:
        if len(self.levels) < 2 or len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels: {self.name} needs at least two levels, each named once")


InputParams = Union[NumberInput, LevelsInput]
"""Every kind of column that a table may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvParams(SplitParams):
    """A table of one's own: a CSV file with a header line, and what its columns mean."""

    kind: Literal["csv"] = "csv"
    """Names this source."""
    path: str
    """The file; a relative path starts at the working directory. May end in ``.gz``."""
    label: str
    """Name of the column that holds the label."""
    positive: tuple[str, ...] = ("1",)
    """Values of the label that count as 1."""
    negative: tuple[str, ...] = ("0",)
    """Values of the label that count as 0; any other value is an error."""
    inputs: tuple[InputParams, ...]
    """The columns to learn from, in order; columns that are not named are not read."""
    hospital: str | None = None
    """Name of the column that holds the hospital, for the partition ``natural``."""
    patient: str | None = None
    """Name of the column that identifies the patient, where one may have several rows: these then
    stay together, in one hospital and on one side of the split. None: every row is a patient."""
    time: str | None = None
    """Name of the column that says when a row's prediction is made: a date or time, ISO 8601. For
    ``split: time`` and to see drift. None: not known."""
    subgroups: tuple[str, ...] = ()
    """Names of columns by which metrics are reported separately, e.g. sex; at most 20 values each.
    They are inputs only if they are listed there, too."""
    delimiter: str = ","
    """The character between cells."""
    sha256: str | None = None
    """Hexadecimal digest that the file must have; none: any file is accepted."""
    normalisation: Normalisation = "site"
    """How inputs are scaled; ``site`` and ``pooled`` use private statistics outside the guarantee,
    ``public`` uses the ranges given with the inputs."""

    def __post_init__(self) -> None:
        SplitParams.__post_init__(self)
        if not self.inputs:
            raise ValueError("inputs: a table needs at least one column to learn from")
        names = [given.name for given in self.inputs]
        if len(set(names)) != len(names) or self.label in names:
            raise ValueError("inputs: each column may be named once, and the label is none of them")
        if not self.positive or set(self.positive) & set(self.negative):
            raise ValueError("positive: needs at least one value, and none that is also negative")
        if len(self.delimiter) != 1:
            raise ValueError(f"delimiter: must be one character, got {self.delimiter!r}")


DataParams = Union[
    SyntheticParams,
    BreastCancerParams,
    HeartDiseaseParams,
    IstParams,
    Diabetes130Params,
    FhirParams,
    SyntheaCsvParams,
    CsvParams,
]
"""Every source that a configuration may name."""
