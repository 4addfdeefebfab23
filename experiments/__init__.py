"""Claims, each with the configuration that tests it and the figure that shows it.

One claim, one *stem*: ``configs/<stem>.yaml``, ``experiments/<stem>.py`` and
``results/reference/<stem>.*``. See ``experiments/README.md`` for the list and for how to add one.
"""
