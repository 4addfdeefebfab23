"""International Stroke Trial: inputs known when a patient was randomised, outcome at six months.

Columns whose name begins with D or F, and the derived ones, tell what happened later, and are not
read. The pilot's name for medium-dose heparin (H) is that of the main trial (M): 38 inputs, where a
level of its own for the pilot's name would make 39.

Source: Sandercock, Niewada, Czlonkowska, "The International Stroke Trial database", Trials 2011,
12:101; DOI 10.7488/ds/104.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from simulation.records.files import SourceFile, read_original
from simulation.records.groups import age_band
from simulation.records.params import InputParams, IstParams, LevelsInput, NumberInput
from simulation.records.r_data import data_frame_csv
from simulation.records.schema import Field, Schema
from simulation.records.source import Download, Source
from simulation.records.table import Index, Table
from simulation.records.tables import DAY_MIN
from simulation.records.tabular import (
    Cells,
    encode_inputs,
    encode_labels,
    number_groups,
    read_text,
)

_FILE = SourceFile(
    "ist-stroke/IST.csv",
    "0400322154c1f845dc0ac9082f6b47a0a9b06b1762a186bd672900013dd922d8",
    7227886,
)
_YES_NO = ("N", "Y")
# The pilot's 984 patients were not asked about atrial fibrillation and earlier drugs.
_OR_MISSING = ("N", "Y", "")
_INPUTS: tuple[InputParams, ...] = (
    NumberInput(name="AGE", low=15, high=105),
    NumberInput(name="RDELAY", low=0, high=48),
    NumberInput(name="RSBP", low=60, high=300),
    LevelsInput(name="SEX", levels=("F", "M")),
    LevelsInput(name="RCONSC", levels=("F", "D", "U")),
    *(LevelsInput(name=name, levels=_YES_NO) for name in ("RSLEEP", "RCT", "RVISINF")),
    *(LevelsInput(name=name, levels=_OR_MISSING) for name in ("RATRIAL", "RHEP24", "RASP3")),
    *(LevelsInput(name=f"RDEF{i}", levels=("N", "Y", "C")) for i in range(1, 9)),
    LevelsInput(name="STYPE", levels=("PACS", "TACS", "POCS", "LACS", "OTH")),
    LevelsInput(name="RXASP", levels=_YES_NO),
    LevelsInput(name="RXHEP", levels=("N", "L", "M")),
)
_ASKED = ("",)
_SCHEMA = Schema(
    label="dead or dependent six months after randomisation (OCCODE 1 or 2)",
    hospital="HOSPNUM, or COUNTRY with by: country",
    fields=(
        Field("AGE", "age", "age", "a"),
        Field("RDELAY", "delay between stroke and randomisation", unit="h"),
        Field("RSBP", "systolic blood pressure at randomisation", unit="mm[Hg]"),
        Field("SEX", "sex: M is male", "male"),
        Field("RCONSC", "consciousness (F alert, D drowsy, U unconscious)", "condition"),
        Field("RSLEEP", "symptoms noted on waking", "condition"),
        Field("RCT", "computed tomography before randomisation", "condition"),
        Field("RVISINF", "infarct visible on it", "condition"),
        Field("RATRIAL", "atrial fibrillation", "condition", missing=_ASKED),
        Field("RHEP24", "heparin within 24 hours before", "medication", missing=_ASKED),
        Field("RASP3", "aspirin within 3 days before", "medication", missing=_ASKED),
        *(
            Field(f"RDEF{i}", f"deficit of {where} (Y yes, C cannot be assessed)", "condition")
            for i, where in enumerate(
                (
                    *("the face", "arm or hand", "leg or foot", "speech (dysphasia)"),
                    *("half the visual field", "visuospatial sense", "brainstem or cerebellum"),
                    "another kind",
                ),
                start=1,
            )
        ),
        Field("STYPE", "stroke syndrome", "condition"),
        Field("RXASP", "aspirin allotted", "medication"),
        Field("RXHEP", "heparin allotted (L low, M medium dose)", "medication"),
    ),
    missing="an empty cell, for what the pilot did not ask for: a level of its own",
    encounter="inpatient",
)
_GROUPS = {"hospital": "HOSPNUM", "country": "COUNTRY"}
# The dates have Polish names of months; the file has lost the accent of the tenth (paź).
_MONTHS = ("sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "pa?", "lis", "gru")
_HORIZON_MIN = 183 * DAY_MIN
"""Six months, after which the outcome was asked for."""


def read(params: IstParams) -> Table:
    """19,285 patients whose outcome at six months is known.

    Raises:
        DataError: when the file is absent or not the original.
    """
    data = read_original(_FILE, "ist")
    group = _GROUPS[params.by]
    wanted = [*(given.name for given in _INPUTS), "OCCODE", "RDATE", group]
    text = read_text(data, _FILE.path, wanted)
    text = text.keep(np.isin(text.columns["OCCODE"], ("1", "2", "3", "4")))
    for name in ("RATRIAL", "RHEP24", "RASP3", "RXHEP", "STYPE", "RCONSC"):
        text.columns[name] = np.char.upper(text.columns[name])
    text.columns["RXHEP"][text.columns["RXHEP"] == "H"] = "M"
    encoded = encode_inputs(text, _INPUTS)
    site, sites = number_groups(text.columns[group])
    return Table(
        features=encoded.features,
        x=encoded.x,
        y=encode_labels(text, "OCCODE", ("1", "2"), ("3", "4")),
        low=encoded.low,
        high=encoded.high,
        site=site,
        sites=sites,
        time_min=_months(text.columns["RDATE"]),
        horizon_min=_HORIZON_MIN,
        groups={
            "sex": np.where(text.columns["SEX"] == "M", "male", "female"),
            "age": age_band(text.columns["AGE"].astype(np.float64)),
        },
    )


def _months(cells: Cells) -> Index:
    """Minutes since 1970 of the first day of months such as ``sty-91``."""
    names, month = np.unique(cells, return_inverse=True)
    starts = [f"19{name[4:]}-{_MONTHS.index(name[:3]) + 1:02}" for name in names.tolist()]
    return np.array(starts, dtype="datetime64[m]").astype(np.int64)[month]


SOURCE = Source(
    kind="ist",
    title="International Stroke Trial: 19,285 patients, dead or dependent after six months",
    hospitals="464 hospitals (187 with at least 30 patients, 49 with 100), or 36 countries",
    licence="ODC-By 1.0",
    provenance=(
        "P. Sandercock, M. Niewada, A. Czlonkowska: International Stroke Trial database (version "
        "2), University of Edinburgh, 2011, DOI 10.7488/ds/104; the data frame of the R package "
        "RESIDE (commit 8e76733), written as CSV"
    ),
    schema=_SCHEMA,
    params=IstParams,
    read=read,
    files=(_FILE,),
    # The trial's own repository has the same patients in a file of other bytes.
    download=Download(
        "https://raw.githubusercontent.com/hehta/RESIDE/"
        "8e76733ecff3a89f44739a4fa21bf929ac802002/data/IST.rda",
        {"": _FILE.path},
        convert=partial(data_frame_csv, name="IST"),
    ),
    most_auroc=0.85,  # logistic regression: 0.798 ± 0.006
)
