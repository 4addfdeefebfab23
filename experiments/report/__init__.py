"""Reports: a run, a sweep or the whole suite as one HTML page that needs nothing but itself.

`run` and `sweep` gather what a page shows, `page` turns it into HTML. A page holds its figures and
its few lines of script, so it works offline, in light and dark, on a phone and on paper.
"""
