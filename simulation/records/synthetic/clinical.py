"""The medicine of the synthetic cohort: what people have, how it shows, and what is done.

The numbers are set by the authors. A source named beside one gives its order of magnitude, not the
number itself; where none is named, it is a choice that gives plausible ranges, and said to be one.
Effects on readmission follow the scores named in `risk`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A chronic condition."""

    name: str
    """Short name, for notes."""
    code: str
    """ICD-10-CM code when it is coded precisely."""
    unspecified: str
    """ICD-10-CM code of the same category when it is coded loosely."""
    prevalence: float
    """Share of 60-year-olds with it (set by the authors). Order of magnitude of US surveys, where
    they were looked up: hypertension 51 % and diabetes 19 % at ages 55 to 64 (NHANES 2009-2012, in
    Health, United States, 2014); serious heart conditions 7 % at 45 to 64 and 19 % at 65 to 74
    (NHIS 2007, in Health, United States, 2009); chronic kidney disease 14 % of all adults (NHANES,
    in the 2015 report of the US Renal Data System)."""
    per_decade: float
    """Log odds by decade of age (choice)."""
    onset: float
    """New cases a year among 60-year-olds without it (choice: prevalence over its usual span)."""
    risk: float
    """Log odds of readmission (set by the authors; ranked roughly as LACE's comorbidity points:
    diabetes without complications 1, heart failure, COPD, cancer and renal disease 2, severe liver
    disease 4)."""
    display: str
    """The precise code's text."""


CONDITIONS = (
    Condition(
        name="hypertension", code="I10", unspecified="I10", prevalence=0.55, per_decade=0.45,
        onset=0.05, risk=0.0, display="Essential (primary) hypertension",
    ),
    Condition(
        name="type 2 diabetes", code="E11.65", unspecified="E11.9", prevalence=0.2, per_decade=0.2,
        onset=0.015, risk=0.15, display="Type 2 diabetes mellitus with hyperglycemia",
    ),
    Condition(
        name="coronary disease", code="I25.10", unspecified="I25.9", prevalence=0.14,
        per_decade=0.6, onset=0.012, risk=0.2,
        display="Atherosclerotic heart disease of native coronary artery",
    ),
    Condition(
        name="heart failure", code="I50.22", unspecified="I50.9", prevalence=0.07, per_decade=0.65,
        onset=0.01, risk=0.5, display="Chronic systolic (congestive) heart failure",
    ),
    Condition(
        name="atrial fibrillation", code="I48.20", unspecified="I48.91", prevalence=0.06,
        per_decade=0.75, onset=0.008, risk=0.15, display="Chronic atrial fibrillation",
    ),
    Condition(
        name="COPD", code="J44.9", unspecified="J44.9", prevalence=0.12, per_decade=0.3,
        onset=0.008, risk=0.35, display="Chronic obstructive pulmonary disease",
    ),
    Condition(
        name="chronic kidney disease", code="N18.30", unspecified="N18.9", prevalence=0.14,
        per_decade=0.55, onset=0.012, risk=0.3, display="Chronic kidney disease, stage 3",
    ),
    Condition(
        name="cancer", code="C80.1", unspecified="C80.1", prevalence=0.1, per_decade=0.45,
        onset=0.01, risk=0.55, display="Malignant (primary) neoplasm, unspecified",
    ),
    Condition(
        name="depression", code="F33.1", unspecified="F32.A", prevalence=0.12, per_decade=-0.1,
        onset=0.015, risk=0.2, display="Major depressive disorder, recurrent, moderate",
    ),
    Condition(
        name="cirrhosis", code="K74.60", unspecified="K74.60", prevalence=0.02, per_decade=0.1,
        onset=0.002, risk=0.6, display="Unspecified cirrhosis of liver",
    ),
)  # fmt: skip
"""All chronic conditions, in the order of the state's columns."""

PROMOTES = (
    ("hypertension", "heart failure", 0.5),
    ("hypertension", "chronic kidney disease", 0.4),
    ("type 2 diabetes", "chronic kidney disease", 0.9),
    ("type 2 diabetes", "coronary disease", 0.6),
    ("coronary disease", "heart failure", 1.1),
    ("atrial fibrillation", "heart failure", 0.7),
    ("chronic kidney disease", "heart failure", 0.4),
    ("cancer", "depression", 0.5),
    ("heart failure", "atrial fibrillation", 0.9),
)
"""First, second: log hazard ratio of getting the second when one has the first (set by the authors:
ratios of 1.5 to 3, with the direction from the textbook; of the size of cohort studies, e.g. 1.6
for coronary disease in men with diabetes, Gander et al., Prev Chronic Dis 2014); the same numbers
make the conditions go together at the start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A laboratory value or vital sign."""

    name: str
    """Short name, for notes."""
    code: str
    """LOINC code."""
    unit: str
    """UCUM unit."""
    mean: float
    """Mean of healthy adults, in the unit: about the middle of a usual reference interval (set by
    the authors; intervals differ between laboratories)."""
    between: float
    """Deviation between healthy persons: about a quarter of such an interval, which holds 95 % of
    them; of the logarithm where ``log`` (set by the authors)."""
    within: float
    """Deviation of one person from day to day, as a share of ``between`` (choice; the EFLM
    Biological Variation Database lists both for each analyte, and they are not taken from it)."""
    bias: float
    """Deviation between laboratories, as a share of ``between`` (choice: a quarter, after the
    desirable bias of laboratory medicine, a quarter of a person's and a group's variation
    together)."""
    log: bool
    """Whether the logarithm is what varies evenly."""
    low: float
    """The least that occurs in a living adult."""
    high: float
    """The most."""
    digits: int
    """Decimals that a laboratory reports."""
    ordered: float
    """Share of stays in which it is measured at a mean hospital (choice: vital signs and the basic
    panel nearly always, what is ordered on suspicion seldom)."""
    acute: float
    """Shift by one unit of acuity, in units of ``between`` (choice, sign from physiology)."""


def _value(
    name: str, code: str, unit: str, mean: float, between: float, low: float, high: float,
    ordered: float, acute: float, *, log: bool = False, digits: int = 1, within: float = 0.6,
) -> Value:  # fmt: skip
    return Value(
        name=name, code=code, unit=unit, mean=mean, between=between, within=within, bias=0.25,
        log=log, low=low, high=high, digits=digits, ordered=ordered, acute=acute,
    )  # fmt: skip


VALUES = (
    _value("haemoglobin", "718-7", "g/dL", 14.0, 1.1, 4.0, 20.0, 0.95, -0.5),
    _value("sodium", "2951-2", "mmol/L", 140.0, 2.3, 110.0, 170.0, 0.95, -0.4, digits=0),
    _value("potassium", "2823-3", "mmol/L", 4.2, 0.35, 2.0, 8.0, 0.95, 0.1),
    _value("creatinine", "2160-0", "mg/dL", 0.9, 0.2, 0.3, 15.0, 0.94, 0.5, log=True, digits=2),
    _value("urea nitrogen", "3094-0", "mg/dL", 14.0, 0.28, 2.0, 150.0, 0.9, 0.6, log=True,
           digits=0),
    _value("glucose", "2345-7", "mg/dL", 98.0, 0.14, 30.0, 900.0, 0.9, 0.5, log=True, digits=0),
    _value("HbA1c", "4548-4", "%", 5.4, 0.06, 3.5, 18.0, 0.25, 0.0, log=True, within=0.1),
    _value("albumin", "1751-7", "g/dL", 4.2, 0.3, 1.0, 6.0, 0.55, -0.7),
    _value("leucocytes", "6690-2", "10*3/uL", 7.2, 0.27, 0.2, 80.0, 0.93, 0.7, log=True),
    _value("NT-proBNP", "33762-6", "pg/mL", 70.0, 0.8, 5.0, 35000.0, 0.2, 0.4, log=True, digits=0),
    _value("systolic pressure", "8480-6", "mm[Hg]", 126.0, 13.0, 50.0, 260.0, 0.99, -0.3,
           digits=0),
    _value("diastolic pressure", "8462-4", "mm[Hg]", 76.0, 8.5, 25.0, 150.0, 0.99, -0.3, digits=0),
    _value("heart rate", "8867-4", "/min", 76.0, 10.0, 25.0, 220.0, 0.99, 0.8, digits=0),
    _value("oxygen saturation", "59408-5", "%", 97.0, 1.2, 50.0, 100.0, 0.98, -0.7, digits=0),
    _value("temperature", "8310-5", "Cel", 36.8, 0.3, 32.0, 42.5, 0.98, 0.5),
    _value("body mass index", "39156-5", "kg/m2", 27.0, 0.2, 12.0, 75.0, 0.6, 0.0, log=True,
           within=0.1),
)  # fmt: skip
"""All values, in the order of the state's columns."""

TOGETHER = (
    ("systolic pressure", "diastolic pressure", 0.65),
    ("creatinine", "urea nitrogen", 0.6),
    ("glucose", "HbA1c", 0.6),
    ("haemoglobin", "albumin", 0.35),
    ("leucocytes", "temperature", 0.35),
    ("heart rate", "temperature", 0.4),
    ("body mass index", "glucose", 0.25),
    ("body mass index", "systolic pressure", 0.25),
    ("creatinine", "potassium", 0.3),
)
"""Correlations within a person beyond what conditions and acuity cause (set by the authors)."""

SHIFTS = (
    ("hypertension", "systolic pressure", 1.2),
    ("hypertension", "diastolic pressure", 0.9),
    ("type 2 diabetes", "glucose", 3.2),
    ("type 2 diabetes", "HbA1c", 4.5),
    ("type 2 diabetes", "body mass index", 0.6),
    ("heart failure", "NT-proBNP", 3.6),
    ("heart failure", "sodium", -0.8),
    ("heart failure", "oxygen saturation", -0.5),
    ("atrial fibrillation", "heart rate", 0.9),
    ("atrial fibrillation", "NT-proBNP", 1.5),
    ("COPD", "oxygen saturation", -1.5),
    ("chronic kidney disease", "creatinine", 3.0),
    ("chronic kidney disease", "urea nitrogen", 2.4),
    ("chronic kidney disease", "potassium", 0.8),
    ("chronic kidney disease", "haemoglobin", -1.5),
    ("cancer", "haemoglobin", -1.6),
    ("cancer", "albumin", -1.2),
    ("cirrhosis", "sodium", -1.5),
    ("cirrhosis", "albumin", -2.2),
)
"""Condition, value, shift in units of ``between``: how a condition shows (textbook; choice of
size)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """What brings somebody to hospital: the principal diagnosis."""

    code: str
    """ICD-10-CM code."""
    display: str
    """Its text."""
    weight: float
    """Relative frequency among stays of people with no chronic condition (set by the authors;
    sepsis, osteoarthritis and pneumonia lead, which are among the four most frequent principal
    diagnoses in HCUP Statistical Brief 277; the other, heart failure, comes with its condition)."""
    of: str
    """Chronic condition that makes it likelier, or empty."""
    times: float
    """By which factor (choice)."""
    acute: float
    """Shift of acuity."""


REASONS = (
    Reason(code="A41.9", display="Sepsis, unspecified organism", weight=2.0, of="cancer",
           times=2.5, acute=1.0),
    Reason(code="J18.9", display="Pneumonia, unspecified organism", weight=1.4, of="COPD",
           times=3.0, acute=0.5),
    Reason(code="I50.23", display="Acute on chronic systolic heart failure", weight=0.1,
           of="heart failure", times=60.0, acute=0.5),
    Reason(code="I21.4", display="Non-ST elevation myocardial infarction", weight=0.8,
           of="coronary disease", times=5.0, acute=0.5),
    Reason(code="J44.1", display="COPD with (acute) exacerbation", weight=0.1, of="COPD",
           times=40.0, acute=0.3),
    Reason(code="N17.9", display="Acute kidney failure, unspecified", weight=0.6,
           of="chronic kidney disease", times=5.0, acute=0.4),
    Reason(code="N39.0", display="Urinary tract infection, site not specified", weight=1.0,
           of="type 2 diabetes", times=2.0, acute=0.0),
    Reason(code="I63.9", display="Cerebral infarction, unspecified", weight=0.9,
           of="atrial fibrillation", times=4.0, acute=0.4),
    Reason(code="E11.649", display="Type 2 diabetes with hypoglycemia without coma", weight=0.02,
           of="type 2 diabetes", times=30.0, acute=0.0),
    Reason(code="K72.90", display="Hepatic failure, unspecified without coma", weight=0.02,
           of="cirrhosis", times=120.0, acute=0.6),
    Reason(code="M17.11", display="Unilateral primary osteoarthritis, right knee", weight=2.0,
           of="", times=1.0, acute=-1.2),
    Reason(code="S72.001A", display="Fracture of neck of right femur", weight=0.9, of="",
           times=1.0, acute=-0.1),
    Reason(code="K80.00", display="Calculus of gallbladder with acute cholecystitis", weight=1.0,
           of="", times=1.0, acute=-0.4),
    Reason(code="R07.9", display="Chest pain, unspecified", weight=1.0, of="coronary disease",
           times=2.0, acute=-0.6),
)  # fmt: skip
"""Principal diagnoses."""

ELECTIVE = "M17.11"
"""The reason that is planned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drug:
    """A drug given for a condition."""

    name: str
    """Ingredient."""
    code: str
    """RxNorm concept of the ingredient."""
    of: str
    """Condition that it is given for."""
    share: float
    """Share of those with the condition who get it (guideline first line; choice of size)."""


DRUGS = (
    Drug(name="lisinopril", code="29046", of="hypertension", share=0.5),
    Drug(name="amlodipine", code="17767", of="hypertension", share=0.35),
    Drug(name="metformin", code="6809", of="type 2 diabetes", share=0.65),
    Drug(name="insulin glargine", code="274783", of="type 2 diabetes", share=0.3),
    Drug(name="atorvastatin", code="83367", of="coronary disease", share=0.75),
    Drug(name="furosemide", code="4603", of="heart failure", share=0.8),
    Drug(name="metoprolol", code="6918", of="heart failure", share=0.7),
    Drug(name="apixaban", code="1364430", of="atrial fibrillation", share=0.6),
    Drug(name="albuterol", code="435", of="COPD", share=0.8),
    Drug(name="prednisone", code="8640", of="COPD", share=0.25),
    Drug(name="sertraline", code="36437", of="depression", share=0.6),
)
"""All drugs."""
