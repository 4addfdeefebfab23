"""Wisconsin diagnostic breast cancer, as it ships inside scikit-learn: real data, no download.

Label 1 is malignant, the finding that a screening model is to catch (scikit-learn codes it 0).
Source: Street, Wolberg, Mangasarian, "Nuclear feature extraction for breast tumor diagnosis", 1993.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulation.records.params import BreastCancerParams
from simulation.records.schema import Field, Schema
from simulation.records.source import Source
from simulation.records.table import Table

# The ranges that the data set's own documentation prints: mean, standard error, worst of ten
# measurements each, in the columns' order.
_LOW = (
    *(6.981, 9.71, 43.79, 143.5, 0.053, 0.019, 0.0, 0.0, 0.106, 0.05),
    *(0.112, 0.36, 0.757, 6.802, 0.002, 0.002, 0.0, 0.0, 0.008, 0.001),
    *(7.93, 12.02, 50.41, 185.2, 0.071, 0.027, 0.0, 0.0, 0.156, 0.055),
)
_HIGH = (
    *(28.11, 39.28, 188.5, 2501.0, 0.163, 0.345, 0.427, 0.201, 0.304, 0.097),
    *(2.873, 4.885, 21.98, 542.2, 0.031, 0.135, 0.396, 0.053, 0.079, 0.03),
    *(36.04, 49.54, 251.2, 4254.0, 0.223, 1.058, 1.252, 0.291, 0.664, 0.208),
)


_OF = (
    ("mean_{}", "mean over the nuclei"),
    ("{}_error", "standard error of the mean"),
    ("worst_{}", "mean of the three largest"),
)
_MEASURED = (
    *("radius", "texture", "perimeter", "area", "smoothness"),
    *("compactness", "concavity", "concave_points", "symmetry", "fractal_dimension"),
)
_SCHEMA = Schema(
    label="malignant (target = 0 in scikit-learn's copy)",
    hospital="none in the data",
    fields=tuple(
        Field(name.format(what), f"{what.replace('_', ' ')} of the cell nuclei: {how}")
        for name, how in _OF
        for what in _MEASURED
    ),
    day="1995-11-01",  # the data set's donation; the data have no dates, and no units
)


def read(params: BreastCancerParams) -> Table:
    """569 rows of 30 measurements of cell nuclei."""
    from sklearn.datasets import load_breast_cancer

    del params  # nothing to choose: the data is bundled
    bundle: Any = load_breast_cancer()
    return Table(
        features=tuple(str(name).replace(" ", "_") for name in bundle.feature_names),
        x=np.asarray(bundle.data, dtype=np.float64),
        y=1 - np.asarray(bundle.target, dtype=np.int64),
        low=np.array(_LOW),
        high=np.array(_HIGH),
    )


SOURCE = Source(
    kind="breast_cancer",
    title="Wisconsin diagnostic breast cancer: 569 biopsies, 30 measurements, malignant or benign",
    hospitals="none of its own: partition iid or dirichlet",
    licence="CC BY 4.0",
    provenance=(
        "W. Wolberg, O. Mangasarian, N. Street, W. Street: Breast Cancer Wisconsin (Diagnostic), "
        "UCI Machine Learning Repository, 1995, DOI 10.24432/C5DW2B; the copy in scikit-learn"
    ),
    schema=_SCHEMA,
    params=BreastCancerParams,
    read=read,
)
