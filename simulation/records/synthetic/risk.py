"""The course of a patient, and the risk of readmission, in numbers.

Effects follow two published scores, rescaled to log odds: LACE (van Walraven et al., CMAJ 2010:
length of stay, acute admission, comorbidity, emergency visits) and HOSPITAL (Donzé et al., JAMA
Intern Med 2013: haemoglobin, sodium, oncology, admission type, earlier admissions, length of stay).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """How stays follow each other, and the risk that they do. Effects are log odds."""

    years: float = 5.0
    """Length of the records, years (choice)."""
    start_min: int = 23_668_320
    """Their beginning: 2015-01-01 UTC, minutes since 1970 (choice)."""
    base: float = -3.6
    """Log odds of readmission of the reference patient; gives 14 to 15 % overall (HCUP Statistical
    Brief 278: 14 % of adults' stays in 2018)."""
    frailty: float = 0.35
    """Effect of one deviation of frailty, which is never recorded: the part of risk that inputs can
    only guess (choice; it sets how far below the ceiling a model stays)."""
    acuity: float = 0.3
    """Effect of one unit of acuity at discharge, seen only through values (choice)."""
    stays: float = 0.3
    """Effect of log(1 + stays in the last 365 days) (HOSPITAL: 2 to 5 points of 13)."""
    emergency_visits: float = 0.3
    """Effect of log(1 + emergency visits in the last 180 days) (LACE: 1 to 4 points of 19)."""
    emergency: float = 0.3
    """Effect of an unplanned admission (LACE: 3 points; HOSPITAL: 1)."""
    length: float = 0.2
    """Effect of log(1 + days of stay) over log 5 (LACE: 1 to 7 points)."""
    anaemia: float = 0.3
    """Effect of haemoglobin below 12 g/dL at discharge (HOSPITAL: 1 point)."""
    hyponatraemia: float = 0.3
    """Effect of sodium below 135 mmol/L at discharge (HOSPITAL: 1 point)."""
    pair: float = 0.3
    """Effect of heart failure and kidney disease together beyond their sum (choice: something that
    a linear model misses)."""
    per_decade: float = 0.04
    """Effect of a decade of age beyond 60 (choice; scores give age little weight)."""
    between: float = 0.2
    """Deviation between hospitals (choice: small, since published hospital-wide rates lie close
    together once case mix is taken out)."""
    death: float = -4.6
    """Log odds of dying in hospital at acuity 0; 2 % overall (NCHS Data Brief 118: 715,000 of
    35.1 million stays in 2010)."""
    death_acuity: float = 0.9
    """Effect of one unit of acuity on it (choice)."""
    quiet_days: float = 900.0
    """Mean days to the next stay of those not readmitted, at frailty 0 (choice: four encounters in
    five years)."""
    visits_a_year: float = 0.28
    """Emergency visits without admission a year at frailty 0 (set by the authors; NHAMCS, in NCHS
    Data Brief 434: 0.47 for all persons in 2019, admitted or not, at any hospital)."""
    clinic_a_year: float = 0.3
    """Visits to the hospital's clinics a year (choice)."""
    recovery: float = 0.6
    """Share of acuity that is left at discharge (choice)."""


COURSE = Course()
"""The constants in use."""
