"""UCI heart disease: four real hospitals, prepared as the Fed-Heart-Disease task of FLamby does.

The columns slope, ca and thal are dropped (most hospitals did not measure them), rows that still
miss a value are dropped, cp and restecg become indicators without their first level. The levels are
the published codes, so that no hospital's records decide another's columns.

Source: Ogier du Terrail et al., "FLamby", NeurIPS 2022 Datasets and Benchmarks.
"""

from __future__ import annotations

import numpy as np

from simulation.records.errors import DataError
from simulation.records.files import SourceFile, read_original
from simulation.records.groups import age_band
from simulation.records.params import HeartDiseaseParams
from simulation.records.schema import Field, Schema
from simulation.records.source import Download, Source
from simulation.records.table import Table

_FOLDER = "heart-disease-uci"
_SITES = ("cleveland", "hungarian", "switzerland", "va")
_FILES = tuple(
    SourceFile(f"{_FOLDER}/processed.{site}.data", sha256, size_bytes)
    for site, sha256, size_bytes in zip(
        _SITES,
        (
            "a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8",
            "d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796",
            "834a405ccf5b66ab4056bb77794adc8df0b7125186454c0a1d002d33c6c3b314",
            "e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f",
        ),
        (18461, 10263, 4109, 6737),
        strict=True,
    )
)

_COLUMNS = 14
# Name, position in the file, and a range that a clinician would call possible (for the option
# ``normalisation: public``).
_PLAIN = (
    ("age", 0, 20.0, 90.0),
    ("sex", 1, 0.0, 1.0),
    ("trestbps", 3, 80.0, 200.0),
    ("chol", 4, 100.0, 600.0),
    ("fbs", 5, 0.0, 1.0),
    ("thalach", 7, 60.0, 220.0),
    ("exang", 8, 0.0, 1.0),
    ("oldpeak", 9, 0.0, 6.0),
)
_INDICATORS = (("cp", 2, (2, 3, 4)), ("restecg", 6, (1, 2)))
_NEEDED = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
_NUM = 13

_SCHEMA = Schema(
    label="narrowing of a vessel by more than half (num > 0)",
    hospital="one file for each",
    fields=(
        Field("age", "age", "age", "a"),
        Field("sex", "sex: 1 is male", "male"),
        Field("trestbps", "resting blood pressure on admission", unit="mm[Hg]"),
        Field("chol", "serum cholesterol (0 at Switzerland: not measured)", unit="mg/dL"),
        Field("fbs", "fasting blood sugar above 120 mg/dL", "condition"),
        Field("thalach", "highest heart rate reached", unit="/min"),
        Field("exang", "angina induced by exercise", "condition"),
        Field("oldpeak", "ST depression induced by exercise, against rest", unit="mm"),
        Field("cp", "type of chest pain (2 atypical, 3 not anginal, 4 none)", "condition"),
        Field("restecg", "electrocardiogram at rest (1 ST-T abnormal, 2 hypertrophy)", "condition"),
    ),
    missing="'?'; rows that have one among these columns are left out, as in FLamby",
    encounter="ambulatory",
    day="1988-07-01",  # the data set's donation; the data have no dates
)


def read(params: HeartDiseaseParams) -> Table:
    """740 complete rows of 13 inputs, in the order of hospitals and of their files.

    Raises:
        DataError: when a file is absent or not the original.
    """
    del params  # nothing to choose: the task is fixed
    rows: list[list[float]] = []
    labels: list[int] = []
    sites: list[int] = []
    for site, file in enumerate(_FILES):
        text = read_original(file, "heart_disease").decode("ascii")
        for number, line in enumerate(text.splitlines(), start=1):
            cells = _cells(line, file.path, number)
            if any(cells[i] == "?" for i in _NEEDED):
                continue
            rows.append(_inputs(cells))
            labels.append(int(float(cells[_NUM]) > 0))
            sites.append(site)
    x = np.array(rows, dtype=np.float64)
    indicators = [(f"{name}_{level}", 0.0, 1.0) for name, _, ls in _INDICATORS for level in ls]
    columns = [(name, low, high) for name, _, low, high in _PLAIN] + indicators
    return Table(
        features=tuple(name for name, _, _ in columns),
        x=x,
        y=np.array(labels, dtype=np.int64),
        low=np.array([low for _, low, _ in columns]),
        high=np.array([high for _, _, high in columns]),
        site=np.array(sites, dtype=np.int64),
        sites=_SITES,
        groups={"sex": np.where(x[:, 1] == 1, "male", "female"), "age": age_band(x[:, 0])},
    )


def _cells(line: str, path: str, number: int) -> list[str]:
    cells = line.split(",")
    if len(cells) != _COLUMNS:
        raise DataError(f"data: {path} line {number}: {len(cells)} columns, expected {_COLUMNS}")
    return cells


def _inputs(cells: list[str]) -> list[float]:
    plain = [float(cells[position]) for _, position, _, _ in _PLAIN]
    indicators = [
        float(float(cells[position]) == level)
        for _, position, levels in _INDICATORS
        for level in levels
    ]
    return plain + indicators


SOURCE = Source(
    kind="heart_disease",
    title="UCI heart disease: 740 patients, 13 inputs, narrowed coronary vessel or not",
    hospitals="4 real ones: Cleveland, Hungary, Switzerland, VA Long Beach",
    licence="CC BY 4.0",
    provenance=(
        "A. Janosi, W. Steinbrunn, M. Pfisterer, R. Detrano: Heart Disease, UCI Machine Learning "
        "Repository 45, 1988, DOI 10.24432/C52P4X"
    ),
    schema=_SCHEMA,
    params=HeartDiseaseParams,
    read=read,
    files=_FILES,
    download=Download(
        url="https://archive.ics.uci.edu/static/public/45/heart+disease.zip",
        members={f"processed.{s}.data": f"{_FOLDER}/processed.{s}.data" for s in _SITES},
    ),
)
