"""Diabetes in 130 US hospitals, 1999-2008: first stay of each patient, readmission within 30 days.

The data name no hospitals; payer, specialty or admission source stand in for them. Stays that end
in death or a hospice are left out (no readmission is possible), then the first stay of each patient
is kept, so that no patient is on both sides of a split.

Source: Strack et al., "Impact of HbA1c Measurement on Hospital Readmission Rates", BioMed Research
International 2014, 781670; the groups of ICD-9 codes are those of its table 2.
"""

from __future__ import annotations

import numpy as np

from simulation.records.files import SourceFile, read_original
from simulation.records.groups import age_band
from simulation.records.params import Diabetes130Params, InputParams, LevelsInput, NumberInput
from simulation.records.schema import Field, Schema
from simulation.records.source import Download, Source
from simulation.records.table import Index, Table
from simulation.records.tabular import (
    Cells,
    Text,
    encode_inputs,
    encode_labels,
    number_groups,
    read_text,
)

_FILE = SourceFile(
    "diabetes-130-us-hospitals/diabetic_data.csv",
    "0689e7ec031237dc63031b938805c48377748761a3b26acab621567afa24df97",
    19159383,
)
_ENDS = ("11", "13", "14", "19", "20", "21")
"""Discharge codes for death and hospice."""

_DRUGS = ("metformin", "glimepiride", "glipizide", "glyburide", "pioglitazone", "rosiglitazone")
_DIAGNOSES = ("diag_1", "diag_2", "diag_3")
_SYSTEMS = (
    *("other", "circulatory", "respiratory", "digestive", "diabetes"),
    *("injury", "musculoskeletal", "genitourinary", "neoplasms", ""),
)
_DOSES = ("No", "Steady", "Up", "Down")
# Codes of the same meaning are one level; see `_merge`.
_ADMISSIONS = ("1", "2", "3", "")
_SOURCES = ("1", "4", "7", "")
_DISCHARGES = ("1", "2", "3", "5", "6", "7", "22", "")

_INPUTS: tuple[InputParams, ...] = (
    NumberInput(name="age", low=0, high=100),
    NumberInput(name="time_in_hospital", low=1, high=14),
    NumberInput(name="num_lab_procedures", low=0, high=140),
    NumberInput(name="num_procedures", low=0, high=10),
    NumberInput(name="num_medications", low=0, high=100),
    NumberInput(name="number_outpatient", low=0, high=50),
    NumberInput(name="number_emergency", low=0, high=80),
    NumberInput(name="number_inpatient", low=0, high=30),
    NumberInput(name="number_diagnoses", low=1, high=16),
    LevelsInput(
        name="race",
        levels=("Caucasian", "AfricanAmerican", "Hispanic", "Asian", "Other", "?"),
    ),
    LevelsInput(name="gender", levels=("Female", "Male")),
    LevelsInput(name="admission_type_id", levels=_ADMISSIONS),
    LevelsInput(name="admission_source_id", levels=_SOURCES),
    LevelsInput(name="discharge_disposition_id", levels=_DISCHARGES),
    *(LevelsInput(name=name, levels=_SYSTEMS) for name in _DIAGNOSES),
    LevelsInput(name="max_glu_serum", levels=("None", "Norm", ">200", ">300")),
    LevelsInput(name="A1Cresult", levels=("None", "Norm", ">7", ">8")),
    LevelsInput(name="insulin", levels=_DOSES),
    *(LevelsInput(name=name, levels=_DOSES) for name in _DRUGS),
    LevelsInput(name="change", levels=("No", "Ch")),
    LevelsInput(name="diabetesMed", levels=("No", "Yes")),
)
_SCHEMA = Schema(
    label="readmitted within 30 days (readmitted <30)",
    hospital="none in the data; payer_code, medical_specialty or admission_source_id stands in",
    fields=(
        Field("age", "age, the middle of its decade", "age", "a"),
        Field("time_in_hospital", "length of the stay", "stay", "d"),
        Field("num_lab_procedures", "laboratory tests during the stay", unit="{count}"),
        Field("num_procedures", "procedures other than tests", unit="{count}"),
        Field("num_medications", "distinct drugs given", unit="{count}"),
        Field("number_outpatient", "outpatient visits in the year before", unit="{count}"),
        Field("number_emergency", "emergency visits in the year before", unit="{count}"),
        Field("number_inpatient", "stays in the year before", unit="{count}"),
        Field("number_diagnoses", "diagnoses entered", unit="{count}"),
        Field("race", "race, as recorded", missing=("?",)),
        Field("gender", "sex: Male is male", "male"),
        Field("admission_type_id", "type of admission (1 emergency, 2 urgent, 3 elective)"),
        Field("admission_source_id", "where from (1 referral, 4 transfer, 7 emergency room)"),
        Field("discharge_disposition_id", "where to (1 home; the others as in the documentation)"),
        *(
            Field(name, f"{which} diagnosis, by organ system of its ICD-9 code", "condition")
            for name, which in zip(_DIAGNOSES, ("first", "second", "third"), strict=True)
        ),
        Field("max_glu_serum", "highest serum glucose, in mg/dL"),
        Field("A1Cresult", "haemoglobin A1c, in percent"),
        *(
            Field(name, f"{name}: dose during the stay", "medication")
            for name in ("insulin", *_DRUGS)
        ),
        Field("change", "diabetes drugs were changed", "medication"),
        Field("diabetesMed", "a diabetes drug was prescribed", "medication"),
    ),
    missing="'?', and codes for not available, not mapped, invalid: a level of its own",
    encounter="inpatient",
    day="2008-12-31",  # the last day of the ten years that the data are of; they have no dates
)
_GROUPS = {
    "payer": ("payer_code", ("?",)),
    "specialty": ("medical_specialty", ("?",)),
    "admission_source": ("source", ("9", "15", "17", "20", "21")),
}


def read(params: Diabetes130Params) -> Table:
    """69,987 patients with one stay each, in the order of their stays.

    Raises:
        DataError: when the file is absent or not the original.
    """
    text = _first_stays(read_original(_FILE, "diabetes_130"))
    text.columns["source"] = text.columns["admission_source_id"].copy()
    _merge(text)
    encoded = encode_inputs(text, _INPUTS)
    gender, race = text.columns["gender"], text.columns["race"]
    column, missing = _GROUPS[params.by]
    site, sites = _stand_ins(text.columns[column], missing)
    return Table(
        features=encoded.features,
        x=encoded.x,
        y=encode_labels(text, "readmitted", ("<30",), ("NO", ">30")),
        low=encoded.low,
        high=encoded.high,
        site=site,
        sites=sites,
        groups={
            "sex": np.char.lower(gender),
            "age": age_band(text.columns["age"].astype(np.float64)),
            "race": np.where(race == "?", "", race),
        },
        notes=(f"hospitals of diabetes_130 are stand-ins: groups by {params.by}, not hospitals",),
    )


def _first_stays(data: bytes) -> Text:
    others = ("encounter_id", "patient_nbr", "payer_code", "medical_specialty", "readmitted")
    text = read_text(data, _FILE.path, [*(given.name for given in _INPUTS), *others])
    text = text.keep(~np.isin(text.columns["discharge_disposition_id"], _ENDS))
    order = np.argsort(text.columns["encounter_id"].astype(np.int64), kind="stable")
    _, first = np.unique(text.columns["patient_nbr"][order], return_index=True)
    kept = np.zeros(len(order), dtype=np.bool_)
    kept[order[first]] = True
    kept &= text.columns["gender"] != "Unknown/Invalid"
    return text.keep(kept)


def _merge(text: Text) -> None:
    """Replace codes by the few levels that they stand for, in place."""
    columns = text.columns
    # "[70-80)" becomes the middle of the decade.
    columns["age"] = np.array([str(int(c[1 : c.index("-")]) + 5) for c in columns["age"].tolist()])
    columns["admission_type_id"] = _recode(columns["admission_type_id"], _ADMISSIONS, {"7": "1"})
    columns["admission_source_id"] = _recode(
        columns["admission_source_id"],
        _SOURCES,
        {**dict.fromkeys(("2", "3"), "1"), **dict.fromkeys(("5", "6", "10", "22", "25"), "4")},
    )
    columns["discharge_disposition_id"] = _recode(
        columns["discharge_disposition_id"],
        _DISCHARGES,
        {
            **dict.fromkeys(("8",), "6"),
            **dict.fromkeys(("4", "15", "24"), "3"),
            **dict.fromkeys(("9", "10", "12", "23", "27", "28", "29", "30"), "5"),
            **dict.fromkeys(("16", "17"), "1"),
        },
    )
    for name in _DIAGNOSES:
        columns[name] = np.array([_system(code) for code in columns[name].tolist()])


def _recode(cells: Cells, levels: tuple[str, ...], same: dict[str, str]) -> Cells:
    """Codes of the same meaning become one; codes that mean "not known" become empty."""
    merged = [same.get(cell, cell) for cell in cells.tolist()]
    return np.array([cell if cell in levels else "" for cell in merged])


def _system(code: str) -> str:
    """The organ system of an ICD-9 code; empty for a missing one."""
    if code == "?":
        return ""
    if not code[0].isdigit():
        return "other"
    number = float(code)
    if 250 <= number < 251:
        return "diabetes"
    for name, low, high, single in (
        ("circulatory", 390, 459, 785),
        ("respiratory", 460, 519, 786),
        ("digestive", 520, 579, 787),
        ("genitourinary", 580, 629, 788),
        ("injury", 800, 999, -1),
        ("musculoskeletal", 710, 739, -1),
        ("neoplasms", 140, 239, -1),
    ):
        if low <= int(number) <= high or int(number) == single:
            return name
    return "other"


def _stand_ins(cells: Cells, missing: tuple[str, ...]) -> tuple[Index, tuple[str, ...]]:
    """Groups by value; rows without a value are dealt in turn to parts as large as the largest."""
    without = np.isin(cells, missing)
    _, sizes = np.unique(cells[~without], return_counts=True)
    parts = -(-int(without.sum()) // int(sizes.max()))
    named = cells.astype(object)
    named[without] = [f"unknown-{i % parts + 1}" for i in range(int(without.sum()))]
    return number_groups(named.astype(np.str_))


SOURCE = Source(
    kind="diabetes_130",
    title="Diabetes in 130 US hospitals: 69,987 patients, readmitted within 30 days or not",
    hospitals="none named: groups by payer, specialty or admission source stand in",
    licence="CC BY 4.0",
    provenance=(
        "J. Clore, K. Cios, J. DeShazo, B. Strack: Diabetes 130-US Hospitals for Years 1999-2008, "
        "UCI Machine Learning Repository 296, 2014, DOI 10.24432/C5230J"
    ),
    schema=_SCHEMA,
    params=Diabetes130Params,
    read=read,
    files=(_FILE,),
    most_auroc=0.70,  # gradient boosting: 0.657 ± 0.009
    download=Download(
        url="https://archive.ics.uci.edu/static/public/296/"
        "diabetes+130-us+hospitals+for+years+1999-2008.zip",
        members={"diabetic_data.csv": _FILE.path},
    ),
)
