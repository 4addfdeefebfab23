"""A seeded cohort of longitudinal hospital records: a generative model, documented as one.

`clinical` and `risk` hold the medicine, each constant in a parameter class with its source;
`hospitals` says how hospitals differ; `course` draws patients and their stays, one stay of
everybody at a time; `cohort` writes it down as canonical tables, as each hospital would record it;
`notes` says the same facts in words.
"""
